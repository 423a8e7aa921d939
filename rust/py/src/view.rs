//! Memory to numpy: read-only arrays over memory that their owner pins. The repository's only unsafe.

use std::ffi::c_int;

use numpy::npyffi::{self, NPY_ARRAY_ALIGNED, NPY_ARRAY_C_CONTIGUOUS, NPY_ARRAY_F_CONTIGUOUS, PY_ARRAY_API};
use numpy::{PyArrayDescr, PyArrayDescrMethods};
use pyo3::PyClass;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
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
/// `self` is only shared. A frozen class is only ever shared until it is dropped, and an array holds a
/// reference that keeps it from being dropped.
pub trait Memory: PyClass<Frozen = True> + Sync {
    /// Which part of the object.
    type Part;

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
    // SAFETY: `memory` is a borrow of the owner, which is frozen: it could last until the owner is dropped, and
    // until then what it shows does not change. All the items lie inside it.
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
        Some(strides) => (strides.as_mut_ptr(), NPY_ARRAY_ALIGNED),
        None => (
            std::ptr::null_mut(),
            NPY_ARRAY_ALIGNED | NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_F_CONTIGUOUS,
        ),
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
            flags as c_int,
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
