package scim

// MatchesUser reports whether a filter about users is one, and whether it matches a user as JSON has them.
func MatchesUser(text string, user map[string]any) (matches bool, err error) {
	f, err := parseFilter(users, text)
	if err != nil {
		return false, err
	}
	return f.matches(viewOf(user)), nil
}

// Bounds, for tests.
const (
	MaxFilter      = maxFilter
	MaxFilterTerms = maxFilterTerms
)
