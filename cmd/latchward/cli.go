package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/latchward/latchward"
)

// cli is the grammar of the command line.
type cli struct {
	Config string `help:"Configuration file; by default latchward.yaml in the working directory, if there is one." placeholder:"FILE" env:"LATCHWARD_CONFIG"`
	Data   string `help:"Data folder to work on, through its server if that runs (LATCHWARD_DATA; default data)." placeholder:"FOLDER"`
	Server string `help:"Work on the server at this address instead, as the person whose JWT is given." placeholder:"URL" env:"LATCHWARD_URL"`
	JWT    string `name:"jwt" help:"JWT for --server; better in the environment, where other users do not see it." placeholder:"JWT" env:"LATCHWARD_JWT,ADMIN_JWT"`
	Output string `short:"o" help:"Form of what is printed: table, or json as the API gives it." enum:"table,json" default:"table"`

	Serve      serveCommand       `cmd:"" help:"Run the server: management API, verify API and gateway."`
	Demo       demoCommand        `cmd:"" help:"Run a sample API behind Latchward, with tokens to try, in a temporary folder."`
	Token      tokenCommands      `cmd:"" help:"Create, list and change API tokens."`
	Me         meCommands         `cmd:"" help:"Show, rotate or revoke the token that you hold."`
	User       userCommands       `cmd:"" help:"Add, list and change users."`
	Group      groupCommands      `cmd:"" help:"Make and change groups, and say who is a member."`
	Role       roleCommands       `cmd:"" help:"Make and change roles."`
	License    licenseCommands    `cmd:"" help:"Make and change licenses."`
	Policy     policyCommands     `cmd:"" help:"Make, change and apply rules about how tokens are made, kept and replaced."`
	Permission permissionCommands `cmd:"" help:"Show and explain what can be granted."`
	Explain    explainCommand     `cmd:"" help:"Say whether a request would be allowed, and why not."`
	Keys       keysCommands       `cmd:"" help:"Show, rotate and drop the server keys."`
	Audit      auditCommands      `cmd:"" help:"Show, check and export who changed what, or tried to."`
	Scan       scanCommand        `cmd:"" help:"Search files, or the history of a repository, for secrets that leaked into them."`
	JWTCommand jwtCommand         `cmd:"" name:"jwt" help:"Make a JWT with which a person can call the management API."`
	Migrate    migrateCommands    `cmd:"" help:"Show and update the schema of the database."`
	Backup     backupCommand      `cmd:"" help:"Copy the database into a file, also while a server runs."`
	Restore    restoreCommand     `cmd:"" help:"Put a backup into the place of the database. No server may be running."`
	Version    versionCommand     `cmd:"" help:"Show which version this is."`
	Completion completionCommand  `cmd:"" help:"Print a script that makes the shell complete latchward's commands."`
	Complete   completeCommand    `cmd:"" hidden:"" help:"Print the words that may come next."`
}

const description = `Latchward issues, verifies, limits, observes, rotates and revokes API tokens.

Start with: latchward demo`

// session is what commands share.
type session struct {
	streams
	cli   *cli
	model *kong.Application
}

// run executes a command line and returns the exit code.
func run(ctx context.Context, args []string, to streams) int {
	grammar := &cli{}
	grammar.Serve.Plugins = kong.Plugins{grammar.Serve.settings.grammar()}
	parser, err := kong.New(grammar, kong.Name("latchward"), kong.Description(description),
		kong.Writers(to.out, to.err), kong.Vars{"reasons": reasons()}, kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}))
	if err != nil {
		return fail(to.err, err)
	}
	command, err := parser.Parse(args)
	if err != nil {
		return fail(to.err, usageError(err))
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return fail(to.err, command.Run(&session{streams: to, cli: grammar, model: parser.Model}))
}

// reasons lists why a token can be revoked.
func reasons() string {
	texts := make([]string, len(latchward.RevokeReasons()))
	for i, reason := range latchward.RevokeReasons() {
		texts[i] = string(reason)
	}
	return strings.Join(texts, ", ")
}

func usageError(err error) error {
	message := err.Error() + ": try latchward --help"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil && parse.Context.Command() != "" {
		message = err.Error() + ": try latchward " + strings.Fields(parse.Context.Command())[0] + " --help"
	}
	return &latchward.Error{Code: latchward.CodeInvalid, Message: message}
}

// exitCodes is the one table from the code of an error to what the program returns.
var exitCodes = map[latchward.Code]int{
	latchward.CodeInvalid:         2,
	latchward.CodeUnauthenticated: 4,
	latchward.CodeForbidden:       4,
	latchward.CodeNotFound:        3,
	latchward.CodeConflict:        5,
	latchward.CodeExhausted:       6,
	latchward.CodeUnavailable:     6,
	latchward.CodeInternal:        1,
}

// fail says what failed and returns the exit code; 0 for nil.
func fail(to io.Writer, err error) int {
	if err == nil {
		return 0
	}
	message := err.Error()
	var known *latchward.Error
	if errors.As(err, &known) {
		message = known.Message
		if known.Field != "" && !strings.Contains(message, known.Field) {
			message = known.Field + ": " + message
		}
	}
	for line := range strings.Lines(message) {
		fmt.Fprintln(to, "latchward: "+strings.TrimSpace(line))
	}
	return exitCodes[latchward.ErrorCode(err)]
}
