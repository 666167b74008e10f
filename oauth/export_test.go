package oauth

// ParseForm is parseForm, for fuzzing.
func ParseForm(text string, repeatable ...string) (map[string][]string, error) {
	return parseForm(text, repeatable...)
}

// Describable is describable.
var Describable = describable
