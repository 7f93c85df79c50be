package verdict

// Bounds and estimates are order statistics of all sums or differences of two samples. There are as
// many as the square of the number of samples, so they are never listed: values are whole numbers,
// and counting how many sums are at most some limit takes one walk through sorted samples. That
// finds the k-th smallest by bisection, exactly.

// order finds order statistics among size whole numbers between low and high, of which count(t) are
// at most t.
type order struct {
	size      int
	low, high int64
	count     func(t int64) int
}

// smallest returns the k-th smallest, 1 <= k <= size.
func (o order) smallest(k int) int64 {
	low, high := o.low, o.high
	for low < high {
		if t := low + (high-low)/2; o.count(t) >= k {
			high = t
		} else {
			low = t + 1
		}
	}
	return low
}

// largest returns the k-th largest.
func (o order) largest(k int) int64 { return o.smallest(o.size - k + 1) }

// median returns twice the median, so that it is a whole number, too.
func (o order) median() int64 {
	return o.smallest((o.size+1)/2) + o.largest((o.size+1)/2)
}

// sums are d[i]+d[j] for all i <= j: the Walsh averages of d, twice each. d is sorted.
func sums(d []int64) order {
	n := len(d)
	return order{n * (n + 1) / 2, 2 * d[0], 2 * d[n-1], func(t int64) (count int) {
		for i, j := 0, n-1; i < n; i++ {
			for j >= 0 && d[i]+d[j] > t {
				j--
			}
			if j < i {
				break
			}
			count += j - i + 1
		}
		return count
	}}
}

// differences are y[j]-x[i] for all i and j. x and y are sorted.
func differences(x, y []int64) order {
	return order{len(x) * len(y), y[0] - x[len(x)-1], y[len(y)-1] - x[0], func(t int64) (count int) {
		j := 0
		for _, v := range x {
			for j < len(y) && y[j]-v <= t {
				j++
			}
			count += j
		}
		return count
	}}
}
