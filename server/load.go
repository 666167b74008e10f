package server

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/latchward/latchward"
)

// DefaultFile is the configuration file that is read when none is named and it exists.
const DefaultFile = "latchward.yaml"

// Sources are where settings come from. Flags win over the environment, the environment over the file, and the file
// over the defaults.
type Sources struct {
	File        string            // "" = DefaultFile in the working directory, if there is one
	Environment []string          // as from os.Environ; empty values count as not set
	Flags       map[string]string // by key of the setting

	program map[string]string // by key of the setting; of a program of somebody's own
}

// clientEnvironment are the variables that only the command line reads.
var clientEnvironment = []string{"LATCHWARD_CONFIG", "LATCHWARD_URL", "LATCHWARD_JWT", "LATCHWARD_TOKEN", "LATCHWARD_VERIFY_TOKEN"}

// Load reads and checks the configuration. The error names each value at fault and where it stands, and has code
// invalid. Nothing is touched; see [Check] for what the machine has to say about it.
func Load(s Sources) (Config, error) {
	l := loader{settings: map[string]Setting{}}
	l.config.origins = map[string]string{}
	for _, setting := range Settings() {
		l.settings[setting.Key] = setting
		if setting.Default != "" {
			l.set(setting.Key, setting.Default, "default")
		}
	}
	l.file(s.File)
	l.environment(s.Environment)
	for _, key := range slices.Sorted(maps.Keys(s.Flags)) {
		l.set(key, s.Flags[key], "--"+l.settings[key].Flag)
	}
	for _, key := range slices.Sorted(maps.Keys(s.program)) {
		if _, known := l.settings[key]; !known {
			l.faults = append(l.faults, fault{"", key, "is not the key of a setting"})
			continue
		}
		l.set(key, s.program[key], "")
	}
	if len(l.faults) == 0 {
		l.faults = l.config.validate()
	}
	return l.config, l.config.errorOf(l.faults)
}

type loader struct {
	config   Config
	settings map[string]Setting
	faults   []fault
}

// fault is something wrong with the value of a setting.
type fault struct {
	origin  string // "" = that of the key
	key     string
	message string
}

func (c *Config) errorOf(faults []fault) error {
	if len(faults) == 0 {
		return nil
	}
	lines := make([]string, len(faults))
	for i, f := range faults {
		origin := f.origin
		if origin == "" {
			origin = c.origins[f.key]
		}
		if lines[i] = f.key + " " + f.message; origin != "" {
			lines[i] = origin + ": " + lines[i]
		}
	}
	return &latchward.Error{Code: latchward.CodeInvalid, Field: faults[0].key, Message: strings.Join(lines, "\n")}
}

func (l *loader) set(key, text, origin string) {
	setting := l.settings[key]
	if err := setting.set(&l.config, text); err != nil {
		l.faults = append(l.faults, fault{origin, key, err.Error()})
		return
	}
	l.config.origins[key] = origin
}

func (l *loader) file(path string) {
	optional := path == ""
	if optional {
		path = DefaultFile
	}
	text, err := os.ReadFile(path)
	switch {
	case optional && errors.Is(err, fs.ErrNotExist):
	case err != nil:
		l.faults = append(l.faults, fault{"", path, "cannot be read: " + reasonOf(err)})
	default:
		l.yaml(path, text)
		l.checkSecretFile(path)
	}
}

// checkSecretFile refuses a file that holds secrets and that others may read.
func (l *loader) checkSecretFile(path string) {
	for _, key := range slices.Sorted(maps.Keys(l.config.origins)) {
		origin := l.config.origins[key]
		if setting, known := l.settings[key]; known && setting.Flag == "" && strings.HasPrefix(origin, path+":") {
			if err := checkPrivate(path, 0o077); err != nil {
				l.faults = append(l.faults, fault{origin, key, "is a secret, and the file " + err.Error()})
			}
		}
	}
}

func (l *loader) environment(variables []string) {
	known := map[string]string{}
	for key, setting := range l.settings {
		known[setting.Environment] = key
	}
	for _, name := range clientEnvironment {
		known[name] = ""
	}
	for _, variable := range variables {
		name, text, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, EnvironmentPrefix) {
			continue
		}
		key, ok := known[name]
		switch {
		case !ok:
			l.unknown("environment", name, known)
		case key != "" && text != "":
			l.set(key, text, name)
		}
	}
}

func (l *loader) unknown(origin, name string, known map[string]string) {
	message := "is not a setting"
	if near := nearest(name, known); near != "" {
		message += "; did you mean " + near + "?"
	}
	l.faults = append(l.faults, fault{origin, name, message})
}

// nearest returns the known name that differs least from name, if it differs by at most two characters.
func nearest[T any](name string, known map[string]T) string {
	best, distance := "", 3
	for candidate := range known {
		if d := editDistance(name, candidate); d < distance || d == distance && candidate < best {
			best, distance = candidate, d
		}
	}
	if distance > 2 {
		return ""
	}
	return best
}

// editDistance is Levenshtein's: insertions, deletions and replacements of bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// reasonOf returns why a file or address could not be used, without its name.
func reasonOf(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	return err.Error()
}

// list returns the addressable field of a list setting.
func (l *loader) list(key string) (reflect.Value, bool) {
	value := reflect.ValueOf(&l.config).Elem().Field(l.settings[key].field)
	return value, value.Kind() == reflect.Slice
}

// checkPrivate returns an error when a file is readable for more people than mask leaves.
func checkPrivate(path string, mask fs.FileMode) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("%s cannot be read: %s", path, reasonOf(err))
	}
	if mode := info.Mode().Perm(); mode&mask != 0 {
		return fmt.Errorf("%s is open to others (mode %04o); run: chmod 600 %s", path, mode, path)
	}
	return nil
}
