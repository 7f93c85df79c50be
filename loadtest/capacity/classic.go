package capacity

// ClassicGrowth is the least growth in percent with which the classic rule goes on.
const ClassicGrowth = 5

// Growth is by how much throughput grew from prev to this, in percent of this. Relating it to the
// new level and not to the old one is how the original did it: 5 % here are 5.26 % of the old
// level. Without any throughput it is 0.
func Growth(prev, this float64) float64 {
	if this == 0 {
		return 0
	}
	return (this - prev) * 100 / this
}

// Classic is the stop rule of the original: one sample a level, VUs double; a level is accepted
// when no request failed and throughput grew by at least [ClassicGrowth], and the first level that
// is not accepted ends the ramp, even where it is the best one. prev is the zero Level before the
// first level, whose growth is 100 %.
//
// Two cases that the original did not have: a level in which no request ended has not grown, and a
// ramp ends before it would exceed maxVUs.
func Classic(prev, this Level, maxVUs int) Decision {
	switch {
	case this.Failures > 0:
		return Decision{Stop: RequestsFailed}
	case this.Throughput == 0 || Growth(prev.Throughput, this.Throughput) < ClassicGrowth:
		return Decision{Stop: Knee}
	case this.VUs > maxVUs/2:
		return Decision{Accepted: true, Stop: MaxVUs}
	}
	return Decision{Accepted: true, Next: 2 * this.VUs}
}
