//! Nothing here: the tests are in the folders beside.
