//! Memory to numpy: read-only arrays over memory that their owner pins. The repository's only unsafe.

use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::ops::Deref;

use numpy::npyffi::objects::{PyArrayObject, PyArrayObject_fields, PyDataType_FIELDS};
use numpy::npyffi::{self, NPY_ARRAY_ALIGNED, NPY_ARRAY_C_CONTIGUOUS, NPY_ARRAY_F_CONTIGUOUS, PY_ARRAY_API};
use numpy::{PyArrayDescr, PyArrayDescrMethods};
use pyo3::PyClass;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::sync::PyOnceLock;
use tickloom_core::bar::WORDS;
use tickloom_core::ring::Page;

/// Keeps a page alive for the arrays that show it.
#[pyclass(frozen, module = "tickloom._core")]
pub struct PagePin(Page);

impl PagePin {
    pub fn new(page: Page) -> Self {
        Self(page)
    }
}

/// An object that lends parts of itself to arrays.
///
/// The borrow in the signature is the contract: what `memory` returns is valid and unchanged for as long as
/// `self` is only shared. A frozen class is only ever shared until it is dropped or, if its content is
/// [`Renewable`], until nobody sees it; an array holds a reference, which keeps it from both.
pub trait Memory: PyClass<Frozen = True> + Sync {
    /// Which part of the object.
    type Part: Copy;

    fn memory(&self, part: Self::Part) -> &[u8];
}

/// A read-only array over one part of `owner`, which it pins: as many items as the part holds whole ones.
pub fn items<'py, O: Memory>(
    owner: &Bound<'py, O>,
    part: O::Part,
    descr: &Bound<'py, PyArrayDescr>,
) -> PyResult<Bound<'py, PyAny>> {
    let memory = owner.get().memory(part);
    let length = memory
        .len()
        .checked_div(descr.itemsize())
        .expect("an item has a size");
    // SAFETY: `memory` is a borrow of the owner, which is frozen: it could last until the owner is dropped or
    // renewed, and until then what it shows does not change. All the items lie inside it. The array becomes one
    // of the owner's references, and those keep it from being renewed, except for an array that nobody sees.
    unsafe {
        array_over(
            owner.as_any(),
            descr.clone(),
            &mut [length as isize],
            None,
            memory.as_ptr(),
        )
    }
}

/// A dtype that many arrays share. Whoever has one of them can rename the fields in place, which is for numpy to
/// allow and harms no memory; those who come later get another dtype.
pub struct SharedDescr {
    descr: Py<PyArrayDescr>,
    /// The dict that says what the fields are, held so that no other can have its address. To name them otherwise,
    /// numpy makes another dict.
    fields: Py<PyAny>,
    next: PyOnceLock<Box<Self>>,
}

impl SharedDescr {
    /// A dtype of items with fields.
    pub fn new(descr: Bound<'_, PyArrayDescr>) -> Self {
        let py = descr.py();
        // SAFETY: a dtype of items with fields has a dict of them.
        let fields = unsafe { Bound::from_borrowed_ptr(py, fields_of_items(&descr)).unbind() };
        Self {
            descr: descr.unbind(),
            fields,
            next: PyOnceLock::new(),
        }
    }

    /// The dtype, or one that `make` made in its place because its fields are not as they were.
    #[inline]
    pub fn get<'py>(
        &self,
        py: Python<'py>,
        make: impl Fn() -> PyResult<Self>,
    ) -> PyResult<&Bound<'py, PyArrayDescr>> {
        let mut shared = self;
        loop {
            let descr = shared.descr.bind(py);
            if fields_of_items(descr) == shared.fields.as_ptr() {
                return Ok(descr);
            }
            shared = shared.next.get_or_try_init(py, || make().map(Box::new))?;
        }
    }
}

/// The dict of fields that a dtype has now.
#[inline]
fn fields_of_items(descr: &Bound<'_, PyArrayDescr>) -> *mut ffi::PyObject {
    // SAFETY: it is a dtype, and this thread is attached; the pointer is not followed here.
    unsafe { PyDataType_FIELDS(descr.py(), descr.as_dtype_ptr()) }
}

/// Content of a frozen object that is written anew when nobody sees the object any more: see [`Spare`].
pub struct Renewable<T>(UnsafeCell<T>);

impl<T> Renewable<T> {
    pub fn new(content: T) -> Self {
        Self(UnsafeCell::new(content))
    }
}

// SAFETY: all that can be done with a shared one is to share its content, and `Spare::renew`, which writes the
// content, does so when it is shared with nobody.
unsafe impl<T: Send + Sync> Sync for Renewable<T> {}

impl<T> Deref for Renewable<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the only `&mut T` is made in `Spare::renew`, which makes sure that no `&Self` is alive.
        unsafe { &*self.0.get() }
    }
}

/// An object whose content can be written anew.
///
/// The contract is that `renew` neither runs Python code nor detaches from the interpreter: either could find
/// the object through the garbage collector, and see content that is being written.
pub trait Renew: Memory {
    type Content;
    /// What the content is written from; what it was written from comes back.
    type Source;

    fn content(&self) -> &Renewable<Self::Content>;

    fn renew(py: Python<'_>, content: &mut Self::Content, source: Self::Source) -> Self::Source;
}

/// Without a global lock a count of references says nothing of what other threads are about to do. Such an
/// interpreter has a longer object header, or one that it does not show.
const COUNTS_ARE_EXACT: bool = size_of::<ffi::PyObject>() == 2 * size_of::<usize>();

/// An object, and perhaps an array over it, that the library holds on to after its user lets go of both.
pub struct Spare<O> {
    owner: Py<O>,
    /// Over the owner, which is its base: one of the owner's references.
    array: Option<Py<PyAny>>,
}

impl<O: Renew> Spare<O> {
    pub fn new(owner: Py<O>) -> Self {
        Self { owner, array: None }
    }

    #[inline]
    pub fn is(&self, owner: &Bound<'_, O>) -> bool {
        self.owner.as_ptr() == owner.as_ptr()
    }

    /// Drops it, knowing that this thread is attached.
    pub fn release(self, py: Python<'_>) {
        if let Some(array) = self.array {
            array.drop_ref(py);
        }
        self.owner.drop_ref(py);
    }

    /// Writes the owner's content anew, if nobody else can see the owner, its array or a view of that. Gives
    /// the owner and what it was written from before; else `source` stays where it is.
    #[inline]
    pub fn renew(&mut self, py: Python<'_>, source: &mut Option<O::Source>) -> Option<(Py<O>, O::Source)> {
        let mut own = 1;
        if let Some(array) = &self.array {
            if !is_only(py, array, 1) {
                return None;
            }
            // SAFETY: it is an array.
            let fields = unsafe { &*fields_of(array) };
            if fields.weakreflist.is_null() && fields.base == self.owner.as_ptr() {
                own = 2;
            } else {
                self.let_go();
            }
        }
        if !is_only(py, &self.owner, own) {
            return None;
        }
        let source = source.take()?;
        // SAFETY: every reference to the owner is accounted for: one is `self.owner`, which is borrowed
        // exclusively and private, so that no borrow of the content stems from it; the other, if there is one,
        // is the base of an array whose only reference is `self.array`, just as private. A view of the array,
        // a buffer, a scalar or an iterator over it would hold a reference to the array, a tick one to the
        // owner. No weak reference leads to either: the class has none, and the array's list is empty. `py`
        // says that this thread holds the lock without which no other one can take a reference, nor can the
        // garbage collector lend one; and while the content is borrowed, `O::renew` runs no Python code.
        let content = unsafe { &mut *self.owner.get().content().0.get() };
        let last = O::renew(py, content, source);
        Some((self.owner.clone_ref(py), last))
    }

    /// Drops an array that can still be reached, which is how those who wait for its end learn of it, or one
    /// that has been given other memory.
    #[cold]
    fn let_go(&mut self) {
        self.array = None;
    }

    /// A read-only array over one part of `owner`, which must be this one's: [`items`], but the array
    /// that is kept is given again if nobody has it.
    pub fn items<'py>(
        &mut self,
        owner: &Bound<'py, O>,
        part: O::Part,
        descr: &Bound<'py, PyArrayDescr>,
    ) -> PyResult<Bound<'py, PyAny>> {
        assert!(self.is(owner));
        let py = owner.py();
        if let Some(array) = &self.array
            && is_only(py, array, 1)
        {
            let memory = owner.get().memory(part);
            // SAFETY: it is an array that nobody else has, and `memory` is what `items` would show.
            if unsafe { show(array, owner.as_any(), descr, memory) } {
                return Ok(array.bind(py).clone());
            }
        }
        let array = items(owner, part, descr)?;
        self.array = Some(array.clone().unbind());
        Ok(array)
    }
}

/// Whether an object has exactly `own` references.
#[inline]
fn is_only<T>(_: Python<'_>, object: &Py<T>, own: isize) -> bool {
    // SAFETY: the object is alive, and the thread is attached.
    COUNTS_ARE_EXACT && unsafe { ffi::Py_REFCNT(object.as_ptr()) } == own
}

/// # Safety
/// `array` must be one.
unsafe fn fields_of(array: &Py<PyAny>) -> *mut PyArrayObject_fields {
    // SAFETY: the head of an array is part of numpy's stable interface; the pointer is not followed here.
    unsafe { &raw mut (*array.as_ptr().cast::<PyArrayObject>()).fields }
}

/// Makes a kept array one over `memory`; false if its last user made something else of it than [`items`] did.
///
/// # Safety
/// `array` must be an array that nobody else can see, and `memory` as [`array_over`] wants it for `owner`.
unsafe fn show(
    array: &Py<PyAny>,
    owner: &Bound<'_, PyAny>,
    descr: &Bound<'_, PyArrayDescr>,
    memory: &[u8],
) -> bool {
    let size = descr.itemsize();
    // SAFETY: nobody else has the array, so nobody else reads or writes its head. An array of one dimension has
    // one of each of `dimensions` and `strides`. The items lie inside `memory`, whose owner stays the base.
    unsafe {
        let fields = &mut *fields_of(array);
        let as_made = fields.nd == 1
            && fields.base == owner.as_ptr()
            && fields.descr == descr.as_dtype_ptr()
            && fields.flags == PACKED
            && *fields.strides == size as isize;
        if as_made {
            fields.data = memory.as_ptr().cast_mut().cast();
            *fields.dimensions = (memory.len() / size) as isize;
        }
        as_made
    }
}

/// A part of every word of one column: all eight bytes, or four, two or one of them at an offset.
#[derive(Clone, Copy)]
pub struct Part {
    pub word: usize,
    pub offset: usize,
    pub size: usize,
}

/// A read-only array over rows `[start, end)` of a page's column; it pins the page.
pub fn column<'py>(
    pin: &Bound<'py, PagePin>,
    part: Part,
    descr: Bound<'py, PyArrayDescr>,
    start: usize,
    end: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let page = &pin.get().0;
    assert!(part.word < WORDS && part.offset + part.size <= 8 && start <= end && end <= page.len());
    assert_eq!(descr.itemsize(), part.size);
    let words = &page.column(part.word)[start..end];
    let data = words.as_ptr().cast::<u8>().wrapping_add(part.offset);
    let (mut dims, mut strides) = ([words.len() as isize], [8_isize]);
    // SAFETY: rows below the published length are never written again (ring.rs), so the bytes behind `data` do
    // not change; `pin` becomes the array's base and keeps them alive; the array is made without WRITEABLE,
    // and numpy does not let a non-writeable array with a foreign base become writeable.
    unsafe { array_over(pin.as_any(), descr, &mut dims, Some(&mut strides), data) }
}

/// The flags of an array of items that follow each other.
const PACKED: c_int = (NPY_ARRAY_ALIGNED | NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_F_CONTIGUOUS) as c_int;

/// # Safety
/// The memory that `dims`, `strides` and the dtype describe must be readable at `data`, unchanged and alive as
/// long as `owner` is.
unsafe fn array_over<'py>(
    owner: &Bound<'py, PyAny>,
    descr: Bound<'py, PyArrayDescr>,
    dims: &mut [isize; 1],
    strides: Option<&mut [isize; 1]>,
    data: *const u8,
) -> PyResult<Bound<'py, PyAny>> {
    let py = owner.py();
    // Without strides the items follow each other, and numpy takes the flags as they are given.
    let (strides, flags) = match strides {
        Some(strides) => (strides.as_mut_ptr(), NPY_ARRAY_ALIGNED as c_int),
        None => (std::ptr::null_mut(), PACKED),
    };
    // SAFETY: the calls follow numpy's C API: NewFromDescr steals the descriptor, SetBaseObject the owner;
    // dims and strides outlive the call; a null result carries a Python error.
    unsafe {
        let subtype = npyffi::get_type_object(py, npyffi::NpyTypes::PyArray_Type);
        let array = PY_ARRAY_API.PyArray_NewFromDescr(
            py,
            subtype,
            descr.into_dtype_ptr(),
            1,
            dims.as_mut_ptr(),
            strides,
            data.cast_mut().cast(),
            flags,
            std::ptr::null_mut(),
        );
        let array = Bound::from_owned_ptr_or_err(py, array)?;
        let base = owner.clone().into_ptr();
        if PY_ARRAY_API.PyArray_SetBaseObject(py, array.as_ptr().cast(), base) < 0 {
            return Err(PyErr::fetch(py));
        }
        Ok(array)
    }
}
