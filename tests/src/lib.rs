//! The doctests of every page with Rust in it; the other tests are in the folders beside.

/// The front page, whose later blocks go on from the first, and the pages whose blocks stand alone.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/readme"))]
    mod readme {}
    #[doc = include_str!("../../docs/errors.md")]
    mod errors {}
    #[doc = include_str!("../../docs/guarantees.md")]
    mod guarantees {}
    #[doc = include_str!("../../docs/mistakes.md")]
    mod mistakes {}
    #[doc = include_str!("../../docs/operations.md")]
    mod operations {}
    #[cfg(feature = "postgres")]
    #[doc = include_str!("../../docs/postgres.md")]
    mod postgres {}
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
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/5-read"))]
    mod read {}
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    fn sources(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn every_test_that_a_page_names_exists() {
        for page in ["../docs/guarantees.md", "../docs/mistakes.md"] {
            every_test_exists(page);
        }
    }

    fn every_test_exists(path: &str) {
        let page = fs::read_to_string(path).unwrap();
        let mut code = String::new();
        sources(Path::new("."), &mut code);
        sources(Path::new("../es-runtime/src"), &mut code);
        for row in page.lines().filter(|line| line.starts_with("| ")) {
            let proofs = row.rsplit('|').nth(1).unwrap_or_default();
            for name in proofs.split('`').skip(1).step_by(2) {
                // Names of programs for the compiler have a folder.
                let exists = if name.contains('/') {
                    Path::new("../ui-tests/fail").join(name).with_extension("rs").exists()
                } else {
                    code.contains(&format!("fn {name}(")) || code.contains(&format!("fn {name}<"))
                };
                assert!(exists, "`{path}` names a test that is not there: {name}");
            }
        }
    }
}
