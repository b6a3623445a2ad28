//! Draws the memory and time of exports against the pool size as an image.

use std::fmt::Write;

use crate::exports::{Export, thousands};

/// A panel: its title, its unit and the measurement of an export that it shows.
type Panel = (&'static str, fn(&Export) -> f64);

const PANELS: [Panel; 2] = [
    ("time in seconds", |export| export.seconds),
    ("peak memory in MiB", Export::peak_mib),
];
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 60.0;
const BETWEEN: f64 = 80.0;

/// Draws the panels. Both axes are logarithmic, so that proportional growth is a straight line of 45°.
pub fn svg(series: &[(&str, &str, &[Export])]) -> String {
    let exports = || series.iter().flat_map(|(_, _, exports)| exports.iter());
    let sizes = Axis::of(exports().map(|export| export.users as f64));
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" font-family="sans-serif" font-size="12" fill="#333">
<rect width="100%" height="100%" fill="#fff"/>
"##,
        LEFT + 2.0 * WIDTH + BETWEEN + 20.0,
        TOP + HEIGHT + 50.0
    );
    for (at, (title, value)) in PANELS.iter().enumerate() {
        let left = LEFT + at as f64 * (WIDTH + BETWEEN);
        let values = Axis::of(exports().map(value));
        let x = |users: u64| left + sizes.share(users as f64) * WIDTH;
        let y = |value: f64| TOP + (1.0 - values.share(value)) * HEIGHT;
        // Writing to a String cannot fail.
        let _ = writeln!(
            svg,
            r#"<text x="{left}" y="24" font-size="14" font-weight="bold">{title}</text>"#
        );
        for decade in sizes.decades() {
            let (x, name) = (x(decade as u64), thousands(decade as u64));
            let bottom = TOP + HEIGHT;
            let _ = writeln!(
                svg,
                r##"<path d="M{x:.1} {TOP}V{bottom}" stroke="#ddd"/><text x="{x:.1}" y="{}" text-anchor="middle">{name}</text>"##,
                bottom + 18.0
            );
        }
        for decade in values.decades() {
            let y = y(decade);
            let _ = writeln!(
                svg,
                r##"<path d="M{left} {y:.1}h{WIDTH}" stroke="#ddd"/><text x="{}" y="{:.1}" text-anchor="end">{decade}</text>"##,
                left - 6.0,
                y + 4.0
            );
        }
        for (at, (name, colour, exports)) in series.iter().enumerate() {
            let points: Vec<_> = exports
                .iter()
                .map(|export| (x(export.users), y(value(export))))
                .collect();
            let line = points.iter().map(|(x, y)| format!("{x:.1},{y:.1} "));
            let _ = writeln!(
                svg,
                r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
                line.collect::<String>()
            );
            for (x, y) in points {
                let _ = writeln!(
                    svg,
                    r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" fill="{colour}"/>"#
                );
            }
            let _ = writeln!(
                svg,
                r#"<text x="{}" y="44" fill="{colour}">{name}</text>"#,
                left + at as f64 * 110.0
            );
        }
        let _ = writeln!(
            svg,
            r#"<text x="{}" y="{}" text-anchor="middle">users in the pool</text>"#,
            left + WIDTH / 2.0,
            TOP + HEIGHT + 40.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// A logarithmic axis of whole decades.
struct Axis {
    first: i32,
    last: i32,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let exponents: Vec<_> = values.map(f64::log10).collect();
        let least = exponents.iter().copied().fold(f64::INFINITY, f64::min);
        let most = exponents.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let first = least.floor() as i32;
        Self {
            first,
            last: (most.ceil() as i32).max(first + 1),
        }
    }

    fn share(&self, value: f64) -> f64 {
        (value.log10() - f64::from(self.first)) / f64::from(self.last - self.first)
    }

    fn decades(&self) -> impl Iterator<Item = f64> {
        (self.first..=self.last).map(|exponent| 10_f64.powi(exponent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_spans_whole_decades() {
        let axis = Axis::of([20.0, 700.0].into_iter());

        assert_eq!(axis.decades().collect::<Vec<_>>(), [10.0, 100.0, 1000.0]);
        assert_eq!(axis.share(100.0), 0.5);
    }
}
