package verdict

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// table reads a file of testdata/verdict, whose README.md says where it is from.
func table(t *testing.T, name string) []map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "testdata", "verdict", name))
	require.NoError(t, err)
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	var rows []map[string]string
	for _, record := range records[1:] {
		row := make(map[string]string)
		for i, name := range records[0] {
			row[name] = record[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(s, 64)
	require.NoError(t, err)
	return x
}

// TestKnownComparisons compares with R's wilcox.test.
func TestKnownComparisons(t *testing.T) {
	rows := table(t, "known.csv")
	require.Len(t, rows, 34)
	for _, row := range rows {
		values := func(name string) (values []float64) {
			for s := range strings.FieldsSeq(row[name]) {
				values = append(values, number(t, s))
			}
			return values
		}
		rule := Rule{Alpha: number(t, row["level"])}
		compare := rule.Pairs
		if row["kind"] == "groups" {
			compare = rule.Groups
		}
		got, err := compare(values("baseline"), values("candidate"), Higher)
		require.NoError(t, err)
		require.InEpsilon(t, number(t, row["p"]), got.P, 1e-9, row)
		require.InDelta(t, number(t, row["estimate"]), got.Estimate, 1e-10, row)
		require.InDelta(t, number(t, row["lower"]), got.Lower, 1e-10, row)
		require.InDelta(t, number(t, row["upper"]), got.Upper, 1e-10, row)
	}
}

// TestKnownTails compares the distributions with R's psignrank and pwilcox, and the approximations
// beyond the exact ones with what their comment says.
func TestKnownTails(t *testing.T) {
	approximations := 0
	for _, row := range table(t, "tails.csv") {
		n1, n2, at, want := int(number(t, row["n1"])), int(number(t, row["n2"])), int(number(t, row["t"])),
			number(t, row["p"])
		d, exact := signedRank(n1), n1 <= exactPairs
		if n2 > 0 {
			d, exact = rankSum(n1, n2), n1 <= exactGroup && n2 <= exactGroup
		}
		allowed := 1e-9
		if !exact {
			approximations++
			if allowed = 0.01; want < 0.04 {
				allowed = 0.33
				require.GreaterOrEqual(t, d.tail(at), want, row)
			}
		}
		require.InEpsilon(t, want, d.tail(at), allowed, row)
	}
	require.Equal(t, 4*7, approximations)
}

// TestPublishedCriticalValues compares with the tables that textbooks print (signed rank:
// McCornack, Extended tables of the Wilcoxon matched pair signed rank statistic, Journal of the
// American Statistical Association 60, 1965; U: Auble, Extended tables for the Mann-Whitney
// statistic, Bulletin of the Institute of Educational Research at Indiana University 1, 1953),
// which give the largest value of the smaller sum that is significant.
func TestPublishedCriticalValues(t *testing.T) {
	for alpha, table := range map[float64]map[int]int{
		0.05: {5: 0, 6: 2, 7: 3, 8: 5, 9: 8, 10: 10, 11: 13, 12: 17, 13: 21, 14: 25, 15: 30, 16: 35, 17: 41, 18: 47, 19: 53,
			20: 60,
			25: 100, 30: 151},
		0.01: {7: 0, 8: 1, 9: 3, 10: 5, 11: 7, 12: 9, 13: 12, 14: 15, 15: 19, 16: 23, 17: 27, 18: 32, 19: 37, 20: 43, 25: 76,
			30: 120},
	} {
		for n, want := range table {
			d := signedRank(n)
			require.Equal(t, want, d.max-d.critical(alpha), "%d pairs at %v", n, alpha)
		}
	}
	for n, want := range map[int]int{3: 0, 4: 1, 5: 4, 6: 7, 7: 11, 8: 15, 9: 21, 10: 27, 12: 42, 15: 72, 20: 138} {
		d := rankSum(n, n)
		require.Equal(t, want, d.max-d.critical(0.05), "two groups of %d", n)
	}
	require.Greater(t, signedRank(4).critical(0.05), signedRank(4).max, "four pairs are never significant")
}

func TestLeast(t *testing.T) {
	require.Equal(t, 5, Least(true, 0.05))
	require.Equal(t, 9, Least(true, 0.05/20))
	require.Equal(t, 3, Least(false, 0.05), "1/20 is no more than 0.05")
	require.Equal(t, 4, Least(false, 0.0499))
	require.Equal(t, 6, Least(false, 0.05/20))
	for _, alpha := range []float64{0.1, 0.05, 0.01, 0.001} {
		n := Least(true, alpha)
		require.LessOrEqual(t, signedRank(n).critical(alpha), signedRank(n).max)
		require.Greater(t, signedRank(n-1).critical(alpha), signedRank(n-1).max)
		n = Least(false, alpha)
		require.LessOrEqual(t, rankSum(n, n).critical(alpha), n*n)
		require.Greater(t, rankSum(n-1, n-1).critical(alpha), (n-1)*(n-1))
	}
}
