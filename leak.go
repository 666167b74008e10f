package latchward

// LeakAction says what happens to a token of which a secret was found where everybody can read it.
type LeakAction string

// The actions.
const (
	LeakRevoke  LeakAction = "revoke"  // the token, with all its secrets; the default
	LeakDisable LeakAction = "disable" // the token, until somebody enables it
	LeakAlert   LeakAction = "alert"   // leave an audit entry only
)

// LeakActions lists every action.
func LeakActions() []LeakAction { return []LeakAction{LeakRevoke, LeakDisable, LeakAlert} }

// Bounds of a report of leaks.
const (
	MaxLeaks       = 10_000 // in one report
	MaxLeakAddress = 2048   // bytes
)

// Leak is what somebody takes for a secret that has become public.
type Leak struct {
	Secret  Secret
	Address string // where it was found, a URL; "" = not told. What is longer than MaxLeakAddress is cut.
	Source  string // what kind of place that is, such as "commit"; "" = not told. Cut like Address.
}
