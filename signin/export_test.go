package signin

// Forget makes j verify every JWT again.
func (j *JWT) Forget() { j.remembered.good = nil }
