package prove

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Text writes a summary as people read it.
func (s Summary) Text(w io.Writer) error {
	b := new(strings.Builder)
	writeAligned(b, append([][]string{groupHead}, s.groupRows()...))
	if len(s.Noise) > 0 {
		fmt.Fprintln(b)
		writeAligned(b, append([][]string{s.noiseHead()}, s.noiseRows()...))
	}
	fmt.Fprintf(b, "\n%s.\n%s\n%s", s.Meaning, strings.Join(s.Advice, "\n"), s.origin())
	_, err := io.WriteString(w, b.String())
	return err
}

// writeAligned writes rows with their columns below each other, and no blanks at the end of lines.
func writeAligned(b *strings.Builder, rows [][]string) {
	var aligned strings.Builder
	t := tabwriter.NewWriter(&aligned, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	t.Flush() // a builder does not fail
	for line := range strings.Lines(aligned.String()) {
		fmt.Fprintln(b, strings.TrimRight(line, " \n"))
	}
}

// Markdown writes a summary as Markdown.
func (s Summary) Markdown(w io.Writer) error {
	b := new(strings.Builder)
	line := func(cells []string) {
		fmt.Fprintf(b, "| %s |\n", strings.ReplaceAll(strings.Join(cells, " | "), "\n", " "))
	}
	table := func(head []string, rows [][]string) {
		line(head)
		fmt.Fprintf(b, "|%s\n", strings.Repeat("---|", len(head)))
		for _, row := range rows {
			line(row)
		}
		fmt.Fprintln(b)
	}
	table(groupHead, s.groupRows())
	if len(s.Noise) > 0 {
		table(s.noiseHead(), s.noiseRows())
	}
	fmt.Fprintf(b, "**%s.**\n\n", s.Meaning)
	for _, a := range s.Advice {
		fmt.Fprintf(b, "- %s\n", a)
	}
	fmt.Fprintf(b, "\n%s", s.origin())
	_, err := io.WriteString(w, b.String())
	return err
}

// JSON writes a summary as JSON.
func (s Summary) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(s)
}

func (s Summary) origin() string {
	return fmt.Sprintf("Intervals are of 95 %% (Clopper and Pearson). Seed %d, %d vus, %s.\n", s.Seed, s.VUs, s.Machine)
}

// change is what a loss does to throughput.
func change(loss float64) string { return fmt.Sprintf("%+.2f %%", 0-100*loss) } // 0 less is +0

var groupHead = []string{
	"candidate", "called slower", "passed", "neither", "req/s on average", "blocks", "seconds", "slower by",
}

func (s Summary) groupRows() (rows [][]string) {
	for _, g := range s.Groups {
		rows = append(rows, []string{
			g.Name, g.Regressed.String(), g.Passed.String(), fmt.Sprint(g.Open), change(g.Estimate),
			fmt.Sprint(g.Blocks), fmt.Sprintf("%.0f", g.Seconds), list(g.By),
		})
	}
	return rows
}

func (s Summary) noiseHead() []string {
	last := s.Looks[len(s.Looks)-1]
	return []string{"unit", "SD of a block", "margin", fmt.Sprintf("%d blocks support", last)}
}

func (s Summary) noiseRows() (rows [][]string) {
	for _, n := range s.Noise {
		supported := "none"
		if n.Supported > 0 {
			supported = percent(n.Supported)
		}
		rows = append(rows, []string{n.Unit, fmt.Sprintf("%.2f %%", 100*n.SD), percent(n.Margin), supported})
	}
	return rows
}

// list names what is counted, the most frequent first.
func list(counts map[string]int) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, counts[name])
	}
	return strings.Join(names, ", ")
}
