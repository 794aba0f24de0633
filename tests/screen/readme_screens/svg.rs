//! A terminal's screen as an SVG picture in colour, and the text of such a picture.

use std::fmt::Write;

/// Size of a cell, in pixels.
const CELL: (f32, f32) = (8.4, 18.0);
const MARGIN: f32 = 14.0;
const BACKGROUND: &str = "#161821";
const FOREGROUND: &str = "#c6c8d1";
/// The 16 ANSI colours.
const PALETTE: [&str; 16] = [
    "#161821", "#e27878", "#a4b768", "#d9a05f", "#84a0c6", "#a093c7", "#7fb4b9", "#c6c8d1",
    "#7d8298", "#e98989", "#c0ca8e", "#e9b189", "#91acd1", "#ada0d3", "#95c4ce", "#e8e9ee",
];

/// How a cell is drawn.
#[derive(Clone, PartialEq, Eq)]
pub struct Style {
    text: String,
    back: Option<String>,
    bold: bool,
    italic: bool,
}

/// The style of each cell of a screen.
pub fn styles(screen: &vt100::Screen) -> Vec<Vec<Style>> {
    let (rows, cols) = screen.size();
    let (rows, cols) = (rows.get(), cols.get());
    let style = |row, col| {
        let cell = screen.cell(row, col).unwrap();
        let text = colour(cell.fgcolor());
        let back = colour(cell.bgcolor());
        let (text, back) = if cell.inverse() {
            (
                back.or(Some(BACKGROUND.into())),
                text.or(Some(FOREGROUND.into())),
            )
        } else {
            (text, back)
        };
        Style {
            text: text.unwrap_or_else(|| FOREGROUND.to_owned()),
            back,
            bold: cell.bold(),
            italic: cell.italic(),
        }
    };
    (0..rows)
        .map(|row| (0..cols).map(|col| style(row, col)).collect())
        .collect()
}

fn colour(colour: vt100::Color) -> Option<String> {
    match colour {
        vt100::Color::Default => None,
        vt100::Color::Idx(index) => Some(PALETTE[usize::from(index) % 16].to_owned()),
        vt100::Color::Rgb(red, green, blue) => Some(format!("#{red:02x}{green:02x}{blue:02x}")),
    }
}

/// Draws rows in which each character fills one cell.
pub fn draw(rows: &[String], styles: &[Vec<Style>]) -> String {
    let columns = styles.first().map_or(0, Vec::len);
    #[allow(clippy::cast_precision_loss, reason = "a few hundred cells")]
    let at = |column: usize, row: usize| {
        (
            MARGIN + column as f32 * CELL.0,
            MARGIN + row as f32 * CELL.1,
        )
    };
    let (width, height) = at(columns, rows.len());
    let (width, height) = (width + MARGIN, height + MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\">\n\
        <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n\
        <g font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"14\" xml:space=\"preserve\">\n"
    );
    for (row, text) in rows.iter().enumerate() {
        let cells: Vec<char> = format!("{text:columns$}").chars().collect();
        let mut spans = String::new();
        for (column, run) in runs(&cells, &styles[row]) {
            let style = &styles[row][column];
            let ((x, y), length) = (at(column, row), run.chars().count());
            let run_width = at(length, 0).0 - MARGIN;
            if let Some(back) = &style.back {
                let (height, fill) = (CELL.1, back);
                writeln!(
                    svg,
                    "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{run_width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>"
                )
                .unwrap();
            }
            let bold = if style.bold {
                " font-weight=\"bold\""
            } else {
                ""
            };
            let italic = if style.italic {
                " font-style=\"italic\""
            } else {
                ""
            };
            let (fill, run) = (&style.text, escaped(&run));
            write!(
                spans,
                "<tspan x=\"{x:.1}\" textLength=\"{run_width:.1}\" fill=\"{fill}\"{bold}{italic}>{run}</tspan>"
            )
            .unwrap();
        }
        let y = at(0, row).1 + CELL.1 * 0.75;
        writeln!(svg, "<text y=\"{y:.1}\">{spans}</text>").unwrap();
    }
    svg + "</g>\n</svg>\n"
}

/// Neighbouring cells of the same style, with the column of the first.
fn runs(cells: &[char], styles: &[Style]) -> Vec<(usize, String)> {
    let mut runs: Vec<(usize, String)> = Vec::new();
    for (column, letter) in cells.iter().enumerate() {
        match runs.last_mut() {
            Some((first, run)) if styles[*first] == styles[column] => run.push(*letter),
            _ => runs.push((column, letter.to_string())),
        }
    }
    runs
}

/// The rows of a picture that [`draw`] has drawn.
pub fn rows(svg: &str) -> Vec<String> {
    let texts = svg.lines().filter(|line| line.starts_with("<text"));
    let row = |line: &str| {
        let runs = line.split("<tspan").skip(1);
        let run = |span: &str| {
            let inner = span.split_once('>').unwrap().1;
            unescaped(inner.split_once("</tspan>").unwrap().0)
        };
        runs.map(run).collect::<String>().trim_end().to_owned()
    };
    texts.map(row).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

#[test]
fn rows_are_read_back_as_drawn() {
    let style = |text: &str| Style {
        text: text.to_owned(),
        back: None,
        bold: false,
        italic: false,
    };
    let rows_drawn = ["a <b> & c".to_owned(), String::new(), "   …".to_owned()];
    let styles: Vec<Vec<Style>> = (0..3)
        .map(|_| {
            (0..12)
                .map(|column| style(if column < 4 { "#111" } else { "#222" }))
                .collect()
        })
        .collect();
    assert_eq!(rows(&draw(&rows_drawn, &styles)), rows_drawn);
}
