package server

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

// EnvironmentPrefix starts the name of every environment variable that this program reads.
const EnvironmentPrefix = "LATCHWARD_"

// Setting describes one setting in all its spellings.
type Setting struct {
	Key         string // in the file: "api.listen" is listen below api
	Environment string // "LATCHWARD_API_LISTEN"
	Flag        string // "api-listen"; "" for secrets, which would show in the list of processes
	Default     string
	Help        string
	Bool        bool

	field int // in Config
	tag   reflect.StructTag
}

// Settings lists every setting in the order of [Config].
func Settings() []Setting {
	var settings []Setting
	for i := range reflect.TypeFor[Config]().NumField() {
		field := reflect.TypeFor[Config]().Field(i)
		key := field.Tag.Get("key")
		if key == "" {
			continue
		}
		name := strings.NewReplacer(".", "_").Replace(key)
		s := Setting{
			Key: key, Environment: EnvironmentPrefix + strings.ToUpper(name), Default: field.Tag.Get("default"),
			Help: field.Tag.Get("help"), Bool: field.Type.Kind() == reflect.Bool, field: i, tag: field.Tag,
		}
		if field.Type != reflect.TypeFor[latchward.Secret]() {
			s.Flag = strings.ReplaceAll(name, "_", "-")
		}
		settings = append(settings, s)
	}
	return settings
}

// set reads text into the setting's field of c.
func (s *Setting) set(c *Config, text string) error {
	return setText(reflect.ValueOf(c).Elem().Field(s.field), s.tag, text)
}

// setText reads text as the type of value has it; lists are separated by commas.
func setText(value reflect.Value, tag reflect.StructTag, text string) error {
	switch pointer := value.Addr().Interface().(type) {
	case *string:
		*pointer = text
		return oneOf(text, tag.Get("one_of"))
	case *latchward.Secret:
		*pointer = latchward.SecretFromText(text)
	case *bool:
		if text != "true" && text != "false" {
			return errors.New("must be true or false")
		}
		*pointer = text == "true"
	case *time.Duration:
		return setDuration(pointer, text)
	case *netip.Prefix:
		return setNetwork(pointer, text)
	case *Upstream:
		return pointer.set(text)
	default:
		if value.Kind() == reflect.Slice {
			return setList(value, tag, strings.Split(text, ","))
		}
		return setNumber(value, tag, text)
	}
	return nil
}

func setList(value reflect.Value, tag reflect.StructTag, texts []string) error {
	list := reflect.MakeSlice(value.Type(), len(texts), len(texts))
	for i, text := range texts {
		if err := setText(list.Index(i), tag, strings.TrimSpace(text)); err != nil {
			return err
		}
	}
	value.Set(list)
	return nil
}

func setNumber(value reflect.Value, tag reflect.StructTag, text string) error {
	least, errLeast := strconv.ParseInt(tag.Get("min"), 10, 64)
	most, errMost := strconv.ParseInt(tag.Get("max"), 10, 64)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || errLeast != nil || errMost != nil || n < least || n > most {
		return fmt.Errorf("must be a whole number from %s to %s", tag.Get("min"), tag.Get("max"))
	}
	value.SetInt(n)
	return nil
}

func setDuration(pointer *time.Duration, text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > time.Hour {
		return errors.New("must be a duration like 500ms, 10s or 2m, at most 1h")
	}
	*pointer = d
	return nil
}

func setNetwork(pointer *netip.Prefix, text string) error {
	network, err := latchward.ParseNetwork("", text)
	if err != nil {
		return fmt.Errorf("%q %s", text, latchward.ErrorMessage(err))
	}
	*pointer = network
	return nil
}

// set reads "prefix=url", or a URL alone for everything.
func (u *Upstream) set(text string) error {
	u.Prefix, u.URL, u.WebSocket = "/", text, true
	if prefix, url, ok := strings.Cut(text, "="); ok && strings.HasPrefix(prefix, "/") {
		u.Prefix, u.URL = prefix, url
	}
	return nil
}

func oneOf(text, choices string) error {
	if choices == "" || slices.Contains(strings.Split(choices, ","), text) {
		return nil
	}
	return fmt.Errorf("must be one of %s", strings.ReplaceAll(choices, ",", ", "))
}
