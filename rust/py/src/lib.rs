//! tickloom._core: the pane of glass between Python and tickloom-core.

use pyo3::prelude::*;

#[pymodule]
mod _core {}
