//! The manual as the guide reads it.
//!
//! Owns: the bundled files and their division into sections.
//! Refuses: general Markdown. The manual is written for this reader: one sentence a line, code in fences, and after a
//! heading an optional `<!-- index: … -->` line with the words under which people look for the section.
//! Invariant: every section has a sentence; a code block is kept whole.

/// The chapters, in the order of reading.
const CHAPTERS: [&str; 13] = [
    include_str!("../../../assets/guide/start.md"),
    include_str!("../../../assets/guide/keys.md"),
    include_str!("../../../assets/guide/screen.md"),
    include_str!("../../../assets/guide/models.md"),
    include_str!("../../../assets/guide/budgets.md"),
    include_str!("../../../assets/guide/prices.md"),
    include_str!("../../../assets/guide/cache.md"),
    include_str!("../../../assets/guide/ask.md"),
    include_str!("../../../assets/guide/configuration.md"),
    include_str!("../../../assets/guide/sessions.md"),
    include_str!("../../../assets/guide/providers.md"),
    include_str!("../../../assets/guide/privacy.md"),
    include_str!("../../../assets/guide/troubleshooting.md"),
];

/// The text under one heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(crate) chapter: &'static str,
    pub(crate) title: &'static str,
    /// Words that people search for; not shown.
    pub(crate) index: &'static str,
    pub(crate) sentences: Vec<&'static str>,
    /// Code blocks with their fences.
    pub(crate) code: Vec<String>,
}

/// Every section of the bundled manual.
pub(super) fn sections() -> Vec<Section> {
    CHAPTERS.iter().flat_map(|text| chapter(text)).collect()
}

fn chapter(text: &'static str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut chapter = "";
    let mut in_code = false;
    for line in text.lines() {
        let fence = line.starts_with("```");
        if !in_code && let Some(title) = line.strip_prefix("# ") {
            chapter = title;
        } else if !in_code && let Some(title) = line.strip_prefix("## ") {
            sections.push(Section {
                chapter,
                title,
                index: "",
                sentences: Vec::new(),
                code: Vec::new(),
            });
        } else if let Some(section) = sections.last_mut() {
            match (in_code, fence) {
                (false, true) => section.code.push(line.to_owned()),
                (true, _) => {
                    if let Some(block) = section.code.last_mut() {
                        block.push('\n');
                        block.push_str(line);
                    }
                }
                (false, false) => section.prose(line.trim()),
            }
            in_code ^= fence;
        }
    }
    sections
}

impl Section {
    fn prose(&mut self, line: &'static str) {
        if let Some(index) = line
            .strip_prefix("<!-- index: ")
            .and_then(|rest| rest.strip_suffix(" -->"))
        {
            self.index = index;
        } else if !line.is_empty() {
            self.sentences.push(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_manual_is_written_for_its_reader() {
        let mut titles = BTreeSet::new();
        for section in sections() {
            let place = format!("{} / {}", section.chapter, section.title);
            assert!(titles.insert(section.title), "{place}: a title stands once");
            assert!(
                !section.chapter.is_empty() && !section.sentences.is_empty(),
                "{place}: has a chapter and sentences"
            );
            assert!(!section.index.is_empty(), "{place}: has index words");
            assert!(
                section.title.split(' ').count() <= 8,
                "{place}: a title is a few words"
            );
            for sentence in &section.sentences {
                let first = sentence.chars().next().unwrap();
                assert!(
                    first.is_uppercase() || first == '`',
                    "{place}: begins a sentence: {sentence}"
                );
                assert!(
                    sentence.ends_with('.'),
                    "{place}: one whole sentence a line: {sentence}"
                );
                assert_eq!(
                    sentence.matches('`').count() % 2,
                    0,
                    "{place}: closes its code: {sentence}"
                );
            }
            for block in &section.code {
                assert!(
                    block.starts_with("```") && block.ends_with("\n```"),
                    "{place}: a whole block: {block}"
                );
            }
        }
    }

    #[test]
    fn every_file_of_the_manual_is_bundled() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/guide");
        let files = std::fs::read_dir(folder).unwrap().count();
        assert_eq!(files, CHAPTERS.len(), "{folder}");
        let total: usize = CHAPTERS.iter().map(|text| text.len()).sum();
        assert!((20_000..100_000).contains(&total), "{total}");
    }
}
