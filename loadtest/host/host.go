// Package host asks the operating system what a load experiment must know of the machine it runs
// on: the processor time of processes, the processors and limits of this one, and what the machine
// was kept from computing. Where a system does not tell, that is an answer of its own, never a zero
// that looks like a measurement.
package host
