package chart

import "strings"

// Sizes of text, in pixels of the drawing.
const (
	titleSize = 15
	textSize  = 13
)

// TextWidth is how wide a text is at most, in the fonts that pages are shown in. The browser alone
// knows it exactly; these widths are those of wide fonts, such as DejaVu Sans and Verdana, rounded
// up.
func TextWidth(s string, size float64) float64 {
	var em float64
	for _, r := range s {
		switch {
		case strings.ContainsRune("ijlI.,:;'|!fr()[]/\\-t \u202f", r):
			em += 0.42
		case strings.ContainsRune("mwMW%@", r):
			em += 1.1
		case r >= 0x1100: // scripts whose characters are squares, and symbols
			em += 1.1
		case r >= 'A' && r <= 'Z', r >= 0x80, strings.ContainsRune("+=<>~#&_", r):
			em += 0.84
		default:
			em += 0.66
		}
	}
	if size == titleSize { // which is bold
		em *= 1.1
	}
	return em * size
}

// wrap breaks a text at spaces into lines that are no wider than room, as far as its words are not.
func wrap(s string, size, room float64) (lines []string) {
	for word := range strings.FieldsSeq(s) {
		if n := len(lines); n > 0 && TextWidth(lines[n-1]+" "+word, size) <= room {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// longest is the width of the widest word.
func longest(s string, size float64) (width float64) {
	for word := range strings.FieldsSeq(s) {
		width = max(width, TextWidth(word, size))
	}
	return width
}
