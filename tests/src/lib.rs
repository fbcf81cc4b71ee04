//! The doctests of every page with Rust in it; the other tests are in the folders beside.

/// The pages whose blocks stand alone.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../README.md")]
    mod readme {}
    #[doc = include_str!("../../docs/errors.md")]
    mod errors {}
    #[doc = include_str!("../../docs/guarantees.md")]
    mod guarantees {}
}

/// The tutorial: each chapter is one program; `build.rs` puts it together.
#[cfg(doctest)]
mod tutorial {
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/1-declare"))]
    mod declare {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/2-run"))]
    mod run {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/3-test"))]
    mod test {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/4-evolve"))]
    mod evolve {}
}
