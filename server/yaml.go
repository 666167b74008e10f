package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yaml reads a configuration file. It walks the nodes itself, so that every complaint can name a line.
func (l *loader) yaml(path string, text []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	err := decoder.Decode(&document)
	switch {
	case errors.Is(err, io.EOF):
		return // only comments
	case err != nil:
		l.faults = append(l.faults, fault{"", path, "is not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")})
		return
	case !errors.Is(decoder.Decode(new(yaml.Node)), io.EOF):
		l.faults = append(l.faults, fault{"", path, "holds more than one document; keep one"})
		return
	}
	y := yamlReader{l, path}
	y.mapping(document.Content[0], "")
}

type yamlReader struct {
	*loader
	path string
}

func (y *yamlReader) origin(n *yaml.Node) string { return fmt.Sprintf("%s:%d", y.path, n.Line) }

func (y *yamlReader) fault(n *yaml.Node, key, message string) {
	y.faults = append(y.faults, fault{y.origin(n), key, message})
}

func (y *yamlReader) mapping(n *yaml.Node, prefix string) {
	if n.Kind != yaml.MappingNode {
		y.fault(n, strings.TrimSuffix(prefix, "."), "must hold names and values")
		return
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		key := prefix + name.Value
		if seen[key] {
			y.fault(name, key, "stands here twice")
			continue
		}
		seen[key] = true
		y.member(name, value, key)
	}
}

func (y *yamlReader) member(name, value *yaml.Node, key string) {
	_, known := y.settings[key]
	switch {
	case known:
		y.value(value, key)
	case y.isSection(key):
		y.mapping(value, key+".")
	default:
		y.unknown(y.origin(name), key, y.keys())
	}
}

func (y *yamlReader) keys() map[string]string {
	keys := map[string]string{}
	for key := range y.settings {
		keys[key] = key
	}
	return keys
}

func (y *yamlReader) isSection(name string) bool {
	for key := range y.settings {
		if strings.HasPrefix(key, name+".") {
			return true
		}
	}
	return false
}

func (y *yamlReader) value(n *yaml.Node, key string) {
	list, isList := y.list(key)
	switch {
	case n.Tag == "!!null": // the default
	case isList && n.Kind == yaml.SequenceNode:
		y.sequence(n, key, list)
	case n.Kind == yaml.ScalarNode:
		y.set(key, n.Value, y.origin(n))
	case isList:
		y.fault(n, key, "must be a list")
	default:
		y.fault(n, key, "must be a single value")
	}
}

func (y *yamlReader) sequence(n *yaml.Node, key string, list reflect.Value) {
	y.config.origins[key] = y.origin(n)
	list.Set(reflect.MakeSlice(list.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		name := fmt.Sprintf("%s[%d]", key, i)
		y.config.origins[name] = y.origin(item)
		switch {
		case item.Kind == yaml.ScalarNode:
			if err := setText(list.Index(i), "", item.Value); err != nil {
				y.fault(item, name, err.Error())
			}
		case item.Kind == yaml.MappingNode && list.Type() == reflect.TypeFor[[]Upstream]():
			y.item(item, name, list.Index(i))
		default:
			y.fault(item, name, "must be a single value")
		}
	}
}

// item reads a mapping into a struct with keys of its own, such as Upstream.
func (y *yamlReader) item(n *yaml.Node, name string, into reflect.Value) {
	fields := map[string]int{}
	for i := range into.NumField() {
		field := into.Type().Field(i)
		fields[field.Tag.Get("key")] = i
		if text := field.Tag.Get("default"); text != "" {
			_ = setText(into.Field(i), field.Tag, text) // of the program's own making; a test sets each
		}
	}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field, known := fields[key.Value]
		switch {
		case !known:
			y.fault(key, name+"."+key.Value, "is not a setting")
		case value.Kind != yaml.ScalarNode:
			y.fault(value, name+"."+key.Value, "must be a single value")
		default:
			if err := setText(into.Field(field), into.Type().Field(field).Tag, value.Value); err != nil {
				y.fault(value, name+"."+key.Value, err.Error())
			}
		}
	}
}
