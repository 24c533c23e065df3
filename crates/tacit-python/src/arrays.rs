//! Arrays at the border: what comes in is C-contiguous and of the right dtype; what goes out is new.

use numpy::{
    Element, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyReadwriteArrayDyn, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyTypeError, PyValueError};
use pyo3::prelude::*;
use tacit_core::Error;

/// A readable C-contiguous array of T.
pub struct In<'py, T: Element>(PyReadonlyArrayDyn<'py, T>);

impl<'py, T: Element> In<'py, T> {
    pub fn slice(&self) -> &[T] {
        self.0.as_slice().expect("contiguity was checked")
    }

    pub fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    /// The sizes of an array of exactly N dimensions.
    pub fn dims<const N: usize>(&self, name: &str) -> PyResult<[usize; N]> {
        self.shape().try_into().map_err(|_| value(format!("{name} has {} dimensions, not {N}", self.shape().len())))
    }

    /// An error unless the shape is this one.
    pub fn expect(&self, name: &str, shape: &[usize]) -> PyResult<()> {
        if self.shape() == shape {
            return Ok(());
        }
        Err(value(format!("{name} has shape {:?} where {shape:?} is expected", self.shape())))
    }
}

impl<'py, T: Element> FromPyObject<'_, 'py> for In<'py, T> {
    type Error = PyErr;

    fn extract(obj: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let array = cast::<T>(&obj)?;
        let readonly = array.try_readonly().map_err(|e| value(format!("the array is being written to: {e}")))?;
        if readonly.as_slice().is_err() {
            return Err(value("the array is not aligned to its elements: pass a copy"));
        }
        Ok(In(readonly))
    }
}

/// The object as a C-contiguous array of T, or an error that says how to mend it.
pub fn cast<'a, 'py, T: Element>(obj: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyArrayDyn<T>>> {
    let wanted = numpy::dtype::<T>(obj.py());
    let Ok(array) = obj.cast::<PyArrayDyn<T>>() else {
        let found = match obj.cast::<PyUntypedArray>() {
            Ok(array) => format!("an array of {}", array.dtype()),
            Err(_) => format!("a {}", obj.get_type()),
        };
        return Err(PyTypeError::new_err(format!("expected a numpy array of {wanted}, got {found}")));
    };
    if !array.is_c_contiguous() {
        return Err(value("the array is not C-contiguous; pass numpy.ascontiguousarray(array)"));
    }
    Ok(array)
}

pub fn value(message: impl Into<String>) -> PyErr {
    PyValueError::new_err(message.into())
}

create_exception!(
    tacit._core,
    PeerError,
    PyException,
    "What a peer sent is malformed, or its proof does not hold. A caller's own mistake is a ValueError."
);

/// The exception of a refusal: what a peer sent is never blamed on the caller, nor the other way round.
pub fn refused(error: Error) -> PyErr {
    match error {
        Error::Shape(message) => PyValueError::new_err(message),
        Error::Malformed(message) | Error::Proof(message) => PeerError::new_err(message),
    }
}

/// An array, as it goes out.
pub type Array<'py, T> = Bound<'py, PyArrayDyn<T>>;

fn zeros<'py, T: Element>(py: Python<'py>, shape: &[usize]) -> PyResult<Array<'py, T>> {
    let size = shape.iter().try_fold(8usize, |n, &d| n.checked_mul(d));
    if size.is_none_or(|size| size > isize::MAX as usize) {
        return Err(value(format!("an array of shape {shape:?} is too large")));
    }
    Ok(PyArrayDyn::zeros(py, shape, false))
}

/// The elements, to be written.
pub fn writable<'a, T: Element>(guard: &'a mut PyReadwriteArrayDyn<'_, T>) -> PyResult<&'a mut [T]> {
    guard.as_slice_mut().map_err(|e| value(e.to_string()))
}

/// A new array of this shape, filled by `work` without the GIL.
pub fn fill<'py, T: Element>(
    py: Python<'py>,
    shape: &[usize],
    work: impl FnOnce(&mut [T]) -> Result<(), Error> + Send,
) -> PyResult<Array<'py, T>> {
    let array = zeros(py, shape)?;
    {
        let mut guard = array.readwrite();
        let out = writable(&mut guard)?;
        py.detach(|| work(out)).map_err(refused)?;
    }
    Ok(array)
}

/// `count` new arrays of `n` elements, filled by `work` without the GIL.
pub fn fill_all<'py>(
    py: Python<'py>,
    count: usize,
    n: usize,
    work: impl FnOnce(Vec<&mut [u64]>) -> Result<(), Error> + Send,
) -> PyResult<Vec<Array<'py, u64>>> {
    let arrays = (0..count).map(|_| zeros(py, &[n])).collect::<PyResult<Vec<_>>>()?;
    {
        let mut guards: Vec<_> = arrays.iter().map(|a| a.readwrite()).collect();
        let outs = guards.iter_mut().map(writable).collect::<PyResult<Vec<_>>>()?;
        py.detach(|| work(outs)).map_err(refused)?;
    }
    Ok(arrays)
}
