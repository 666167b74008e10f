package signin

// Forget makes j verify every JWT again.
func (j *JWT) Forget() { j.remembered.good = nil }

// Hold takes all turns until release is called.
func (p *Passwords) Hold() (release func()) {
	for range hashersAtOnce {
		p.turns <- struct{}{}
	}
	return func() {
		for range hashersAtOnce {
			<-p.turns
		}
	}
}
