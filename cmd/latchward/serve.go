package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"strconv"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/latchward/latchward/server"
)

type serveCommand struct {
	CheckConfig bool `help:"Check configuration and files, and exit."`
	kong.Plugins
	settings settingFlags
}

// Help implements kong.HelpProvider.
func (serveCommand) Help() string {
	return `Settings come from flags, from the environment (--api-listen is LATCHWARD_API_LISTEN), from the configuration
file (listen below api) and from defaults, the first that is set. Secrets have no flag. docs/operations.md lists all.

Examples:
  latchward serve --upstreams http://127.0.0.1:8080
  latchward serve --config /etc/latchward.yaml --check-config`
}

func (c *serveCommand) Run(ctx context.Context, s *session) error {
	config, err := s.config(c.settings.values())
	if err != nil {
		return err
	}
	if c.CheckConfig {
		if err := server.Check(config); err != nil {
			return err
		}
		_, err := fmt.Fprintln(s.out, "The configuration is good.")
		return err
	}
	ctx, stop := untilSignal(ctx)
	defer stop()
	latchward, err := server.Open(ctx, config)
	if err != nil {
		return err
	}
	return latchward.Run(ctx)
}

// sameSignal is how long after a signal another one counts as the same: whoever runs programs in groups, as timeout(1)
// and make do, tends to send it to the group and to the program.
const sameSignal = 300 * time.Millisecond

// untilSignal returns a context that ends with the first SIGINT or SIGTERM, or with the SIGHUP of a terminal that is
// closed, unless nohup(1) had that ignored. The next one ends the program at once, as if it had been killed.
func untilSignal(ctx context.Context) (context.Context, func()) {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(ctx, signals...)
	context.AfterFunc(ctx, func() { time.AfterFunc(sameSignal, stop) })
	return ctx, stop
}

// settingFlags are the flags that the table of settings asks for.
type settingFlags struct {
	settings []server.Setting
	fields   reflect.Value // of a struct with a pointer for each setting
}

// grammar returns a pointer to a struct that kong fills in.
func (f *settingFlags) grammar() any {
	var fields []reflect.StructField
	for _, s := range server.Settings() {
		if s.Flag == "" || s.Key == "data" { // --data is a flag of all commands
			continue
		}
		kind, help := reflect.TypeFor[*string](), s.Help
		if s.Bool {
			kind = reflect.TypeFor[*bool]()
		}
		if s.Default != "" {
			help += " (" + s.Default + ")"
		}
		tag := fmt.Sprintf("name:%q help:%q placeholder:%q", s.Flag, help, "VALUE")
		fields = append(fields, reflect.StructField{
			Name: "Setting" + strconv.Itoa(len(fields)), Type: kind, Tag: reflect.StructTag(tag),
		})
		f.settings = append(f.settings, s)
	}
	pointer := reflect.New(reflect.StructOf(fields))
	f.fields = pointer.Elem()
	return pointer.Interface()
}

// values returns what was given, by key of the setting.
func (f *settingFlags) values() map[string]string {
	values := map[string]string{}
	for i, s := range f.settings {
		if field := f.fields.Field(i); !field.IsNil() {
			values[s.Key] = fmt.Sprint(field.Elem())
		}
	}
	return values
}
