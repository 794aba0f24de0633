//! One segment of markdown as lines.
//!
//! Owns: the walk over the parser's events.
//! Refuses: recursion; open elements are on stacks of ours.
//! Invariant: all text goes through a [`Sanitiser`] once more after parsing, since entities (`&#27;`) and dropped marks
//! make characters that the source did not hold side by side.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::code::{self, CodeBlock};
use super::laid_out::LaidOutText;
use super::prefix::Prefix;
use super::table::Table;
use crate::chat::Sanitiser;
use crate::chat::text::{one_line, truncate};
use crate::tui::theme::Palette;
use crate::tui::wrap;

/// Adds the lines of `text` to `page`.
pub(super) fn segment(text: &str, width: usize, palette: &Palette, page: &mut LaidOutText) {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES;
    let parser = Parser::new_ext(text, options);
    let mut definitions: Vec<_> = parser
        .reference_definitions()
        .iter()
        .map(|(label, definition)| {
            (
                definition.span.start,
                format!("[{label}]: {}", definition.dest),
            )
        })
        .collect();
    definitions.sort_unstable();
    let mut layout = BlockLayout {
        width,
        palette,
        page,
        prefix: Prefix::new(width),
        lists: Vec::new(),
        styles: Vec::new(),
        spans: Vec::new(),
        sanitiser: Sanitiser::default(),
        targets: Vec::new(),
        code: None,
        table: None,
        gap: false,
    };
    for event in parser {
        layout.take(event);
    }
    layout.flush();
    for (_, definition) in definitions {
        let line = Span::styled(one_line(&definition).into_string(), palette.link);
        layout.emit(wrap::words(&[line], width));
    }
}

/// A link or image being read.
struct Target {
    url: String,
    /// What is shown for it.
    text: String,
    image: bool,
}

struct BlockLayout<'p> {
    width: usize,
    palette: &'p Palette,
    page: &'p mut LaidOutText,
    prefix: Prefix,
    /// The open lists: the number of the next item, if they are numbered.
    lists: Vec<Option<u64>>,
    styles: Vec<Style>,
    /// The text of the block being read.
    spans: Vec<Span<'static>>,
    sanitiser: Sanitiser,
    targets: Vec<Target>,
    code: Option<CodeBlock>,
    table: Option<Table>,
    /// A blank line is due before the next block.
    gap: bool,
}

impl BlockLayout<'_> {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some(code) => code.source.push_str(&text),
                None => self.text(&text),
            },
            Event::Code(text) => self.inline_code(&text),
            Event::InlineMath(text) | Event::DisplayMath(text) => self.text(&text),
            Event::Html(text) | Event::InlineHtml(text) => self.html(&text),
            Event::FootnoteReference(label) => {
                let style = self.palette.dim;
                self.styled(&format!("[^{}]", one_line(&label)), style);
            }
            Event::SoftBreak => self.text(" "),
            Event::HardBreak => self.text("\n"),
            Event::Rule => {
                let rule = Line::styled("─".repeat(self.room()), self.palette.dim);
                self.emit(vec![rule]);
                self.gap = true;
            }
            Event::TaskListMarker(done) => {
                let marker = if done { "[x] " } else { "[ ] " };
                let numbered = self.lists.last().is_some_and(Option::is_some);
                if numbered || !self.prefix.replace_marker(marker) {
                    self.text(marker);
                }
            }
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => {
                self.flush();
                self.prefix.open(
                    format!("{} ", "#".repeat(depth(level))),
                    None,
                    self.palette.heading,
                );
                self.styles.push(self.palette.heading);
            }
            Tag::BlockQuote(_) => {
                self.flush();
                self.prefix
                    .open("│ ".to_owned(), Some("│ "), self.palette.dim);
                self.styles.push(self.palette.quote);
            }
            Tag::CodeBlock(kind) => {
                self.flush();
                let info = if let CodeBlockKind::Fenced(info) = &kind {
                    &**info
                } else {
                    ""
                };
                self.code = Some(CodeBlock::new(info));
            }
            Tag::HtmlBlock => {
                self.flush();
                self.styles.push(self.palette.dim);
            }
            Tag::List(first) => {
                self.flush();
                self.lists.push(first);
            }
            Tag::Item => {
                self.flush();
                let marker = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        let marker = format!("{number}. ");
                        *number = number.saturating_add(1);
                        marker
                    }
                    _ => "• ".to_owned(),
                };
                self.prefix.open(marker, None, self.palette.dim);
            }
            Tag::FootnoteDefinition(label) => {
                self.flush();
                self.prefix.open(
                    format!("[^{}]: ", truncate(&label, 12)),
                    None,
                    self.palette.dim,
                );
            }
            Tag::Table(alignments) => {
                self.flush();
                self.table = Some(Table {
                    alignments,
                    rows: Vec::new(),
                });
            }
            Tag::TableHead | Tag::TableRow => {
                let head = matches!(tag, Tag::TableHead);
                self.styles.push(if head {
                    self.style().add_modifier(Modifier::BOLD)
                } else {
                    self.style()
                });
                self.table
                    .iter_mut()
                    .for_each(|table| table.rows.push(Vec::new()));
            }
            Tag::Emphasis => self
                .styles
                .push(self.style().add_modifier(Modifier::ITALIC)),
            Tag::Strong => self.styles.push(self.style().add_modifier(Modifier::BOLD)),
            Tag::Strikethrough => {
                self.styles
                    .push(self.style().add_modifier(Modifier::CROSSED_OUT));
                self.mark("~~");
            }
            Tag::Link { dest_url, .. } => self.open_target(&dest_url, false),
            Tag::Image { dest_url, .. } => self.open_target(&dest_url, true),
            _ => self.flush_unless_cell(),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) | TagEnd::BlockQuote(_) => {
                self.flush();
                self.styles.pop();
                self.prefix.close();
                self.gap = true;
            }
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::HtmlBlock => {
                self.flush();
                self.styles.pop();
                self.gap = true;
            }
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
                self.gap |= self.lists.is_empty();
            }
            TagEnd::Item | TagEnd::FootnoteDefinition => {
                self.flush();
                if self.prefix.is_fresh() {
                    self.emit(vec![Line::default()]);
                }
                self.prefix.close();
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    let lines = table.lay_out(self.room(), self.palette);
                    self.emit(lines);
                    self.gap = true;
                }
            }
            TagEnd::TableCell => {
                let cell = self.take_spans();
                if let Some(row) = self.table.as_mut().and_then(|table| table.rows.last_mut()) {
                    row.push(cell);
                }
            }
            TagEnd::Strikethrough => {
                self.mark("~~");
                self.styles.pop();
            }
            TagEnd::TableHead | TagEnd::TableRow | TagEnd::Emphasis | TagEnd::Strong => {
                self.styles.pop();
            }
            TagEnd::Link | TagEnd::Image => self.close_target(),
            _ => {
                self.flush_unless_cell();
                self.gap = true;
            }
        }
    }

    fn style(&self) -> Style {
        self.styles.last().copied().unwrap_or(self.palette.text)
    }

    /// The cells to the right of the prefix.
    fn room(&self) -> usize {
        self.width.saturating_sub(self.prefix.cells()).max(1)
    }

    fn text(&mut self, raw: &str) {
        self.styled(raw, self.style());
    }

    /// Marks that stand for a look, where the palette has no other way to show it.
    fn mark(&mut self, mark: &str) {
        if self.palette.marks {
            self.text(mark);
        }
    }

    fn styled(&mut self, raw: &str, style: Style) {
        let safe = self.sanitiser.push(raw);
        if let Some(target) = self.targets.last_mut() {
            target.text.push_str(safe.as_str());
        }
        self.push_span(safe.into_string(), style);
    }

    fn push_span(&mut self, text: String, style: Style) {
        match self.spans.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if last.style == style => last.content.to_mut().push_str(&text),
            _ => self.spans.push(Span::styled(text, style)),
        }
    }

    fn inline_code(&mut self, raw: &str) {
        let style = self.style().patch(self.palette.code);
        let quote = if self.palette.marks { "`" } else { "" };
        self.styled(&format!("{quote}{raw}{quote}"), style);
    }

    fn html(&mut self, raw: &str) {
        if matches!(raw, "<br>" | "<br/>" | "<br />") {
            self.text("\n");
        } else {
            self.styled(raw, self.palette.dim);
        }
    }

    fn open_target(&mut self, url: &str, image: bool) {
        if image {
            self.text("[image: ");
        }
        self.styles.push(self.style().patch(self.palette.link));
        self.targets.push(Target {
            url: one_line(url).into_string(),
            text: String::new(),
            image,
        });
    }

    fn close_target(&mut self) {
        self.styles.pop();
        let rest = self.sanitiser.finish();
        self.push_span(rest.as_str().to_owned(), self.style());
        let Some(mut target) = self.targets.pop() else {
            return;
        };
        target.text.push_str(rest.as_str());
        if target.image {
            self.text("]");
        }
        let mail = target.url.strip_prefix("mailto:");
        let told =
            !target.image && (target.text == target.url || mail == Some(target.text.as_str()));
        if !told {
            self.styled(&format!(" ({})", target.url), self.palette.link);
        }
    }

    fn end_code(&mut self) {
        let Some(mut block) = self.code.take() else {
            return;
        };
        block.source = crate::chat::text::sanitise(&block.source).into_string();
        let number = self.page.code_blocks.len() + 1;
        let lines = code::block(&block, number, self.room(), self.palette);
        self.page.code_blocks.push(block);
        self.emit(lines);
        self.gap = true;
    }

    fn take_spans(&mut self) -> Vec<Span<'static>> {
        let rest = self.sanitiser.finish().into_string();
        self.push_span(rest, self.style());
        std::mem::take(&mut self.spans)
    }

    fn flush_unless_cell(&mut self) {
        if self.table.is_none() {
            self.flush();
        }
    }

    /// Ends the text read so far as a block.
    fn flush(&mut self) {
        let spans = self.take_spans();
        let lines = wrap::words(&spans, self.room());
        self.emit(lines);
    }

    /// Writes the lines of one block behind the prefix.
    fn emit(&mut self, lines: Vec<Line<'static>>) {
        if lines.is_empty() {
            return;
        }
        if std::mem::take(&mut self.gap) {
            self.page.lines.push(self.prefix.blank());
        }
        for line in lines {
            self.page.lines.push(self.prefix.line(line));
        }
    }
}

fn depth(level: HeadingLevel) -> usize {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}
