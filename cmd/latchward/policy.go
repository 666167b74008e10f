package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

type policyCommands struct {
	List   policyList   `cmd:"" help:"List the lifecycle policies."`
	Show   policyShow   `cmd:"" help:"Show a policy."`
	Create policyCreate `cmd:"" help:"Make a policy, for what is made and changed from now on."`
	Update policyUpdate `cmd:"" help:"Change a policy; what is not named stays."`
	Delete policyDelete `cmd:"" help:"Lift a policy; what it made of tokens stays."`
	Apply  policyApply  `cmd:"" help:"Bring the tokens that are there into line with a policy."`
}

type policyList struct{}

func (c *policyList) Run(ctx context.Context, s *session) error {
	return s.with(ctx, func(client *rest.Client) error {
		reply, err := client.Policies(ctx)
		if err != nil {
			return err
		}
		return s.print(reply, policyTable(reply.Policies))
	})
}

func policyTable(policies []rest.Policy) table {
	t := table{header: []string{"ID", "NAME", "GROUP", "KIND", "RULES"}}
	for _, p := range policies {
		t.add(number(p.ID), p.Name, whole(p.Group), whole(p.Kind), ruleText(&p.PolicyRules))
	}
	return t
}

func whole[T ~string](text *T) string {
	if text == nil {
		return "all"
	}
	return string(*text)
}

// ruleText names the rules of a policy in one line.
func ruleText(r *rest.PolicyRules) string {
	var rules []string
	add := func(is bool, format string, args ...any) {
		if is {
			rules = append(rules, fmt.Sprintf(format, args...))
		}
	}
	add(r.MaxLifetimeDays != nil, "lives %d days at most", value(r.MaxLifetimeDays))
	add(r.ExpiryRequired, "needs an expiry")
	add(r.IdleTimeoutDays != nil, "idle after %d days by default", value(r.IdleTimeoutDays))
	add(r.MaxIdleTimeoutDays != nil, "idle after %d days at most", value(r.MaxIdleTimeoutDays))
	add(r.RateLimit != nil, "%d requests a minute by default", value(r.RateLimit))
	add(r.MaxRateLimit != nil, "%d requests a minute at most", value(r.MaxRateLimit))
	add(r.Kinds != nil, "%v tokens only", r.Kinds)
	add(r.RotationDays != nil, "rotated every %d days", value(r.RotationDays))
	add(r.RotationRequired, "disabled if it is not")
	add(r.SelfRotation != nil, "rotated by its holder: %s", yes(value(r.SelfRotation)))
	add(r.Reuse != nil, "reuse: %s", value(r.Reuse))
	return strings.Join(rules, ", ")
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// policy shows the reply of a call about one policy.
func (s *session) policy(reply rest.PolicyReply, err error) error {
	if err != nil {
		return err
	}
	return s.print(reply, policyTable([]rest.Policy{reply.Policy}))
}

// onPolicy calls f with the id of a policy given by name or id.
func (s *session) onPolicy(ctx context.Context, policy string, f func(*rest.Client, int64) error) error {
	return s.with(ctx, func(client *rest.Client) error {
		id, err := idOf(policy, "policy", func() ([]named, error) {
			reply, err := client.Policies(ctx)
			return namedOf(reply.Policies, func(p rest.Policy) named { return named{p.ID, p.Name} }), err
		})
		if err != nil {
			return err
		}
		return f(client, id)
	})
}

type policyShow struct {
	Policy string `arg:"" help:"Name or id of the policy."`
}

func (c *policyShow) Run(ctx context.Context, s *session) error {
	return s.onPolicy(ctx, c.Policy, func(client *rest.Client, id int64) error { return s.policy(client.Policy(ctx, id)) })
}

// policyFields are what making and changing a policy have in common.
type policyFields struct {
	Title            *string  `help:"Name for people to read." placeholder:"TEXT"`
	Description      *string  `help:"What it is for." placeholder:"TEXT"`
	MaxLifetime      *int     `help:"Days from when a secret is issued to its expiry, at most." placeholder:"DAYS"`
	ExpiryRequired   *bool    `help:"Whoever creates a token must name its expiry." negatable:""`
	IdleDays         *int     `help:"Days without use after which tokens created without one go inactive; 0 for never." placeholder:"DAYS"`
	MaxIdleDays      *int     `help:"The most that may be, which rules out never." placeholder:"DAYS"`
	RateLimit        *int64   `help:"Requests per minute of tokens created without a limit." placeholder:"N"`
	MaxRateLimit     *int64   `help:"The most that may be." placeholder:"N"`
	Allow            []string `help:"Kind of tokens that may be created and enabled; may be repeated." placeholder:"KIND"`
	RotationDays     *int     `help:"Days after which a secret should be replaced." placeholder:"DAYS"`
	RotationRequired *bool    `help:"Disable a token whose secret is not." negatable:""`
	SelfRotation     *bool    `help:"Whether holders of tokens may rotate them." negatable:""`
	Reuse            *string  `help:"The least that the use of a rotated-out secret brings about: alert, disable or revoke." placeholder:"POLICY"`
}

func (f *policyFields) change() rest.PolicyChange {
	var c rest.PolicyChange
	given(&c.Title, f.Title)
	given(&c.Description, f.Description)
	given(&c.MaxLifetimeDays, f.MaxLifetime)
	given(&c.ExpiryRequired, f.ExpiryRequired)
	given(&c.IdleTimeoutDays, f.IdleDays)
	given(&c.MaxIdleTimeoutDays, f.MaxIdleDays)
	given(&c.RateLimit, f.RateLimit)
	given(&c.MaxRateLimit, f.MaxRateLimit)
	given(&c.RotationDays, f.RotationDays)
	given(&c.RotationRequired, f.RotationRequired)
	given(&c.SelfRotation, f.SelfRotation)
	if len(f.Allow) > 0 {
		kinds := make([]latchward.Kind, len(f.Allow))
		for i, kind := range f.Allow {
			kinds[i] = latchward.Kind(kind)
		}
		c.Kinds = rest.Some(kinds)
	}
	if f.Reuse != nil {
		c.Reuse = rest.Some(latchward.ReusePolicy(*f.Reuse))
	}
	return c
}

type policyCreate struct {
	Name  string `arg:"" help:"Name by which refusals name it, such as contractors."`
	Group string `help:"Only the tokens of this group, of its members, and those that are members." placeholder:"NAME"`
	Kind  string `help:"Only personal or service tokens." placeholder:"KIND"`
	policyFields
}

// Help implements kong.HelpProvider.
func (policyCreate) Help() string {
	return `Examples:
  latchward policy create standard --max-lifetime 365 --max-idle-days 90 --max-rate-limit 1000
  latchward policy create contractors --group contractors --max-lifetime 30 --expiry-required --allow personal
  latchward policy create robots --kind service --rotation-days 90 --rotation-required --self-rotation`
}

func (c *policyCreate) Run(ctx context.Context, s *session) error {
	change := c.change()
	asked := rest.NewPolicy{
		Name: c.Name, Title: change.Title, Description: change.Description, MaxLifetimeDays: change.MaxLifetimeDays,
		ExpiryRequired: change.ExpiryRequired, IdleTimeoutDays: change.IdleTimeoutDays,
		MaxIdleTimeoutDays: change.MaxIdleTimeoutDays, RateLimit: change.RateLimit, MaxRateLimit: change.MaxRateLimit,
		Kinds: change.Kinds, RotationDays: change.RotationDays, RotationRequired: change.RotationRequired,
		SelfRotation: change.SelfRotation, Reuse: change.Reuse,
	}
	if c.Group != "" {
		asked.Group = rest.Some(c.Group)
	}
	if c.Kind != "" {
		asked.Kind = rest.Some(latchward.Kind(c.Kind))
	}
	return s.with(ctx, func(client *rest.Client) error { return s.policy(client.CreatePolicy(ctx, asked)) })
}

type policyUpdate struct {
	Policy string  `arg:"" help:"Name or id of the policy."`
	Name   *string `help:"New name." placeholder:"NAME"`
	policyFields
	Clear []string `help:"Rule about which it says nothing any more, by member of the API, such as max_lifetime_days." placeholder:"MEMBER"`
}

func (c *policyUpdate) Run(ctx context.Context, s *session) error {
	change := c.change()
	change.Name = c.Name
	if err := clearRules(&change, c.Clear); err != nil {
		return err
	}
	return s.onPolicy(ctx, c.Policy, func(client *rest.Client, id int64) error {
		return s.policy(client.UpdatePolicy(ctx, id, change))
	})
}

// clearRules sets the named members to null.
func clearRules(c *rest.PolicyChange, names []string) error {
	clear := map[string]func(){
		"max_lifetime_days":     func() { c.MaxLifetimeDays = rest.Null[int]() },
		"expiry_required":       func() { c.ExpiryRequired = rest.Null[bool]() },
		"idle_timeout_days":     func() { c.IdleTimeoutDays = rest.Null[int]() },
		"max_idle_timeout_days": func() { c.MaxIdleTimeoutDays = rest.Null[int]() },
		"rate_limit":            func() { c.RateLimit = rest.Null[int64]() },
		"max_rate_limit":        func() { c.MaxRateLimit = rest.Null[int64]() },
		"kinds":                 func() { c.Kinds = rest.Null[[]latchward.Kind]() },
		"rotation_days":         func() { c.RotationDays = rest.Null[int]() },
		"rotation_required":     func() { c.RotationRequired = rest.Null[bool]() },
		"self_rotation":         func() { c.SelfRotation = rest.Null[bool]() },
		"reuse":                 func() { c.Reuse = rest.Null[latchward.ReusePolicy]() },
	}
	for _, name := range names {
		if clear[name] == nil {
			return latchward.Invalid("--clear", "%q is no rule: see latchward policy show --output json", name)
		}
		clear[name]()
	}
	return nil
}

type policyDelete struct {
	Policy string `arg:"" help:"Name or id of the policy."`
}

func (c *policyDelete) Run(ctx context.Context, s *session) error {
	return s.onPolicy(ctx, c.Policy, func(client *rest.Client, id int64) error {
		return s.said(client.DeletePolicy(ctx, id))
	})
}

type policyApply struct {
	Policy   string  `arg:"" help:"Name or id of the policy."`
	Notice   *int    `help:"Days that tokens still live which would be expired at once (default 7)." placeholder:"DAYS"`
	DryRun   bool    `help:"Show how many and which would change, and change nothing; so does leaving out --count."`
	Count    *int64  `help:"Do it, if as many tokens as this would change: what the dry run told." placeholder:"N"`
	Revision *string `help:"And if the very same changes are due: what the dry run told." placeholder:"TEXT"`
}

func (c *policyApply) Run(ctx context.Context, s *session) error {
	asked := rest.ApplyPolicy{DryRun: c.DryRun || c.Count == nil}
	if !asked.DryRun {
		given(&asked.Count, c.Count)
		given(&asked.Revision, c.Revision)
	}
	given(&asked.NoticeDays, c.Notice)
	return s.onPolicy(ctx, c.Policy, func(client *rest.Client, id int64) error {
		reply, err := client.ApplyPolicy(ctx, id, asked)
		if err != nil {
			return err
		}
		return s.print(reply, applyTable(&reply))
	})
}

func applyTable(r *rest.ApplyReply) table {
	t := table{header: []string{"ID", "NAME", "OWNER", "WHAT", "LIMIT", "GOES IDLE", "EXPIRES", "ROTATE BY"}}
	verb := "changed"
	if r.DryRun {
		verb = "would change"
	}
	t.before = fmt.Sprintf("%d of %d tokens %s\n", r.Count, r.Covered, verb)
	for _, e := range r.Effects {
		t.before += fmt.Sprintf("  %-20s %d\n", strings.ReplaceAll(string(e.Effect), "_", " "), e.Tokens)
	}
	if r.DryRun && r.Count > 0 {
		t.before += fmt.Sprintf("Nothing was changed. To do it, repeat this with --count %d --revision %s\n", r.Count, r.Revision)
	}
	if r.Remaining > 0 {
		t.before += fmt.Sprintf("%d more are due: repeat this with --count %d\n", r.Remaining, r.Remaining)
	}
	for _, e := range r.Sample {
		effects := make([]string, len(e.Effects))
		for i, effect := range e.Effects {
			effects[i] = strings.ReplaceAll(string(effect), "_", " ")
		}
		t.add(number(e.After.ID), e.After.Name, e.After.Owner.Name, strings.Join(effects, ", "), number(e.After.RateLimit),
			idleText(&e.After), moment(e.After.ExpiresAt, "never"), moment(e.After.RotationDueAt, "-"))
	}
	return t
}
