package server

import (
	"io"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/latchward/latchward"
)

// Config is everything an operator decides. Its tags are the one table of settings: the file, the environment, the
// flags of `latchward serve` and docs/operations.md are all made from them, see [Settings]. Make one with [Load], which
// fills in the defaults and checks it.
type Config struct {
	Data     string           `key:"data" default:"data" help:"folder for the database, the socket and what else is made at the first start"`
	Keys     latchward.Secret `key:"keys" help:"the key ring itself, instead of a file; it cannot be rotated then"`
	KeysFile string           `key:"keys_file" help:"file of the key ring; by default the file keys in the data folder"`

	Authentication string `key:"authentication" default:"on" one_of:"on,off" help:"off lets every request through to the upstreams and switches API tokens off"`
	Prefix         string `key:"prefix" default:"lw_" help:"beginning of every token's secret"`
	Base           string `key:"base" default:"/api" help:"path under which the upstreams are reached; token patterns are relative to it"`

	APIListen string `key:"api.listen" default:"127.0.0.1:3010" help:"address of the management API, the verify API and the gateway"`
	APICert   string `key:"api.tls_cert" help:"certificate chain (PEM); read again when the file changes"`
	APIKey    string `key:"api.tls_key" help:"its private key (PEM)"`

	PagesListen string `key:"pages.listen" default:"127.0.0.1:5173" help:"address of the pages for people; off for none"`
	PagesCert   string `key:"pages.tls_cert" help:"certificate chain (PEM); read again when the file changes"`
	PagesKey    string `key:"pages.tls_key" help:"its private key (PEM)"`
	PagesURL    string `key:"pages.url" help:"URL under which people reach the pages; by default that of the address, with localhost for loopback"`

	OperationsListen string           `key:"operations.listen" default:"127.0.0.1:9464" help:"address of metrics, health and profiling; off for none"`
	OperationsCert   string           `key:"operations.tls_cert" help:"certificate chain (PEM); read again when the file changes"`
	OperationsKey    string           `key:"operations.tls_key" help:"its private key (PEM)"`
	OperationsSecret latchward.Secret `key:"operations.secret" help:"bearer token that /metrics asks for; required when the address is not loopback"`
	Profiling        bool             `key:"operations.profiling" default:"false" help:"serve /debug/pprof/ there; loopback only"`

	InsecureHTTP   bool           `key:"insecure_http" default:"false" help:"allow plain HTTP on addresses that are not loopback"`
	TrustedProxies []netip.Prefix `key:"trusted_proxies" help:"networks whose word about the client's address is taken"`
	AddressHeader  string         `key:"address_header" default:"X-Forwarded-For" help:"header in which those proxies name the client: X-Forwarded-For or Forwarded"`

	Upstreams      []Upstream    `key:"upstreams" help:"services behind the gateway, each a prefix of the judged path and a URL"`
	PassCredential bool          `key:"gateway.pass_credential" default:"false" help:"forward the Authorization header to the upstreams"`
	AcceptJWT      bool          `key:"gateway.accept_jwt" default:"false" help:"let JWTs of people through the gateway, beside API tokens"`
	ConnectTimeout time.Duration `key:"gateway.connect_timeout" default:"5s" help:"for connecting to an upstream"`
	UpstreamCA     string        `key:"gateway.ca_file" help:"certificates (PEM) of those who may vouch for https upstreams; by default those whom the host trusts"`
	AnswerTimeout  time.Duration `key:"gateway.answer_timeout" default:"60s" help:"from the end of a request to the header of the upstream's answer"`

	JWTSecret   latchward.Secret `key:"jwt.secret" help:"shared secret of HS256, at least 32 bytes; made at the first start when there is no other source of keys"`
	JWKSURL     string           `key:"jwt.jwks_url" help:"https address of the JWKS of the identity provider"`
	JWKSFile    string           `key:"jwt.jwks_file" help:"file with that JWKS"`
	Issuer      string           `key:"jwt.issuer" default:"latchward" help:"required iss"`
	Audience    string           `key:"jwt.audience" default:"latchward" help:"required aud"`
	AdminClaim  string           `key:"jwt.admin_claim" help:"claim that makes an administrator; by default roles, which must contain, or role, which must be, the value"`
	AdminValue  string           `key:"jwt.admin_value" default:"admin" help:"value of that claim"`
	CreateUsers bool             `key:"jwt.create_users" default:"true" help:"create an ordinary user for a person seen for the first time"`

	SCIM        bool   `key:"scim.enabled" default:"true" help:"let directories keep users and groups, at /scim/v2 of the API; it takes a service token with permissions over both"`
	SCIMSubject string `key:"scim.subject" default:"external_id" one_of:"external_id,user_name,none" help:"what of a directory's entry is the sub by which people sign in"`

	OAuthIssuer string `key:"oauth.issuer" help:"https URL under which clients reach the API, and the issuer of its OAuth endpoints; by default that of the address, with localhost for loopback; off for no OAuth"`

	TokenLifetime   time.Duration `key:"oauth.token_lifetime" default:"1h" help:"of API tokens that people get by OAuth without the scope offline_access, at most"`
	DerivedLifetime time.Duration `key:"oauth.derived_lifetime" default:"5m" help:"of the JWTs that API tokens are exchanged for, at most; 1h at most"`
	SigningDays     int           `key:"oauth.signing_key_days" default:"90" min:"0" max:"3650" help:"after which the key that signs them is rotated; 0 for never"`

	OIDCIssuer      string           `key:"oidc.issuer" help:"https address of the OpenID provider at which people sign in, as its discovery document has it"`
	OIDCClientID    string           `key:"oidc.client_id" help:"what the provider knows Latchward by; its redirect URI is /signin/oidc/callback below pages.url"`
	OIDCSecret      latchward.Secret `key:"oidc.client_secret" help:"what Latchward proves itself to the provider with; none for a public client"`
	OIDCName        string           `key:"oidc.name" default:"single sign-on" help:"name of the provider on the sign-in page"`
	OIDCCreateUsers bool             `key:"oidc.create_users" default:"true" help:"create an ordinary user for a person seen for the first time"`

	ReuseAnywhere      bool          `key:"reuse_anywhere" default:"false" help:"disable or revoke a token, as its reuse says, wherever a rotated-out secret of it is used, not only where it is rotated"`
	IdleTimeoutDays    int           `key:"idle_timeout_days" default:"30" min:"0" max:"3650" help:"for tokens created without one; 0 for never"`
	CreationsPerMinute int64         `key:"limits.creations_per_minute" default:"1000" min:"1" max:"1000000" help:"tokens that one person may create"`
	UnprovenPerMinute  int64         `key:"limits.unproven_per_minute" default:"600" min:"1" max:"100000000" help:"requests with a bad credential from one client address"`
	CachedTokens       int           `key:"limits.cached_tokens" default:"1000000" min:"1000" max:"100000000" help:"tokens remembered in memory"`
	UsageFlush         time.Duration `key:"usage.flush_interval" default:"10s" help:"between the moments at which requests go from the journal to the database; whoever asks about usage does not wait for that"`
	UsageRing          int           `key:"usage.ring_mib" default:"16" min:"1" max:"1024" help:"MiB per processor of the journal's rings, rounded up to a power of two when they are made: what can be written down while the disk does not take anything"`
	UsageBudget        int64         `key:"usage.budget_mib" default:"0" min:"0" max:"1000000" help:"MiB of the disk that requests may take while they wait for the database; 0 for 10 GiB or a tenth of the disk"`
	UsageRows          bool          `key:"usage.rows" default:"false" help:"keep each request as a row of api_token_usage, to ask about in SQL, rather than packed; takes ten times the processor time"`
	EventsDays         int           `key:"retention.events_days" default:"30" min:"1" max:"3650" help:"days for which single requests are kept"`
	HoursDays          int           `key:"retention.hours_days" default:"730" min:"1" max:"36500" help:"days for which hourly sums are kept; totals stay for ever"`

	LeakAction string `key:"leaks.action" default:"revoke" one_of:"revoke,disable,alert" help:"what happens to a token whose secret is found in public; alert only leaves an audit entry"`
	GitHubKeys string `key:"leaks.github_keys" help:"https address of the public keys that reports of GitHub's secret scanning are signed with, for github.com https://api.github.com/meta/public_keys/secret_scanning; without one no reports are taken"`

	DrainDelay   time.Duration `key:"shutdown.delay" default:"500ms" help:"after SIGTERM, for load balancers to notice /readyz before connections are refused"`
	DrainTimeout time.Duration `key:"shutdown.timeout" default:"10s" help:"after SIGTERM, for requests to end, the delay included"`

	LogLevel  string `key:"log.level" default:"info" one_of:"debug,info,warn,error" help:"least important lines that are written"`
	LogFormat string `key:"log.format" default:"text" one_of:"text,json" help:"form of log lines, on standard error"`

	Version string    // of the program, for metrics and the API's description; "" = devel
	Logs    io.Writer // where log lines go; nil = standard error

	origins map[string]string // setting -> where its value stands, for messages
}

// Upstream is a service behind the gateway.
type Upstream struct {
	Prefix string `key:"prefix" default:"/" help:"of the judged path, that is without the base; / for everything"`
	URL    string `key:"url" help:"http or https; its path takes the place of the base, which stays when it has none"`

	WebSocket bool `key:"websocket" default:"true" help:"whether connections to it may become WebSockets"`
}

// The files of a data folder.
const (
	databaseFile  = "latchward.db"
	journalFolder = "usage-journal"
	keysFile      = "keys"
	jwtSecretFile = "jwt-secret"
	socketFile    = "latchward.sock"
	setupFile     = "setup-secret"
)

func (c *Config) path(file string) string { return filepath.Join(c.Data, file) }

func (c *Config) keysPath() string {
	if c.KeysFile != "" {
		return c.KeysFile
	}
	return c.path(keysFile)
}

// open reports whether requests pass without any check (S3-19).
func (c *Config) open() bool { return c.Authentication == "off" }

// ownJWTs reports whether people's JWTs are signed with a secret made here rather than by an identity provider.
func (c *Config) ownJWTs() bool {
	return c.JWTSecret.IsZero() && c.JWKSURL == "" && c.JWKSFile == ""
}

func (c *Config) version() string {
	if c.Version == "" {
		return "devel"
	}
	return c.Version
}
