//! What the manual shows as configuration can be read as such.

#[test]
fn the_configuration_in_the_manual_is_toml() {
    let mut blocks = 0;
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/guide")).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let inner = block.split("```").next().unwrap();
            let read = inner.parse::<toml::Table>();
            assert!(read.is_ok(), "{}: {read:?} in\n{inner}", path.display());
            blocks += 1;
        }
    }
    assert!(blocks > 10, "{blocks}");
}
