package broken

var _ = there()
