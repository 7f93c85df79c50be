package broken

func there() int { return 1 }
