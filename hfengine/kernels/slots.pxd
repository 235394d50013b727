# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Read the fields of a struct where they lie, instead of asking for each by its name.

A slot's place in its instances is what its member descriptor says, and how the interpreter's own
specialised reads find it. It holds for instances of exactly the class that was asked.
"""

from cpython.object cimport PyObject

cdef extern from *:
    """
    #include <structmember.h>

    /* Where a slot of an instance lies; 0 for what is no slot holding an object. */
    static Py_ssize_t hf_place(PyObject *slot) {
        if (!Py_IS_TYPE(slot, &PyMemberDescr_Type)) return 0;
        PyMemberDef *member = ((PyMemberDescrObject *)slot)->d_member;
        return member->type == T_OBJECT_EX ? member->offset : 0;
    }
    """
    Py_ssize_t hf_place(object slot)


cdef inline Py_ssize_t place_of_field(object kind, object name) except -1:
    """Return where a class keeps a field in its instances; 0 where it does not."""
    descriptor = getattr(kind, name, None)
    cdef Py_ssize_t place = hf_place(descriptor)
    if place <= 0 or not issubclass(kind, descriptor.__objclass__):
        return 0
    return place


cdef inline PyObject* field_at(object message, Py_ssize_t place) noexcept:
    """Return a field, borrowed: a frozen message holds all of them as long as it lives."""
    return (<PyObject**>(<char*><PyObject*>message + place))[0]
