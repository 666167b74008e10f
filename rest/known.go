package rest

import (
	"reflect"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/shape"
)

// wrapper is implemented by types that are, in JSON, another type or null.
type wrapper interface{ wraps() reflect.Type }

func shapeOf(t reflect.Type) *shape.Shape {
	r := shape.Reader{Known: known}
	return r.Of(t)
}

// known returns the shapes of the wire types that are, in JSON, not what their Go types say.
func known(t reflect.Type, of func(reflect.Type) *shape.Shape) *shape.Shape {
	if w, ok := reflect.Zero(t).Interface().(wrapper); ok {
		inner := *of(w.wraps())
		inner.Null = true
		return &inner
	}
	switch t {
	case reflect.TypeFor[Time]():
		return &shape.Shape{Kind: shape.KindText, Format: "date-time", Valid: func(text string) error {
			_, err := parseMoment(text)
			return err
		}}
	case reflect.TypeFor[PlainSecret]():
		return &shape.Shape{Kind: shape.KindText}
	}
	if values := enumOf(t); values != nil {
		return &shape.Shape{Kind: shape.KindText, Enum: values}
	}
	return nil
}

// enumOf lists the values of the root's closed sets.
func enumOf(t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[latchward.Kind]():
		return texts(latchward.KindPersonal, latchward.KindService)
	case reflect.TypeFor[latchward.Status]():
		return texts(latchward.StatusActive, latchward.StatusInactive, latchward.StatusExpired, latchward.StatusRevoked)
	case reflect.TypeFor[latchward.InactiveReason]():
		return texts(latchward.InactiveManual, latchward.InactiveIdle, latchward.InactiveReuse,
			latchward.InactiveLeak, latchward.InactivePolicy)
	case reflect.TypeFor[latchward.RevokeReason]():
		return texts(latchward.RevokeReasons()...)
	case reflect.TypeFor[latchward.BulkAction]():
		return texts(latchward.BulkActions()...)
	case reflect.TypeFor[latchward.PolicyEffect]():
		return texts(latchward.PolicyEffects()...)
	case reflect.TypeFor[latchward.TokenWarning]():
		return texts(latchward.WarnIdleSoon, latchward.WarnExpiresSoon, latchward.WarnRotationDue, latchward.WarnRotationOverdue)
	case reflect.TypeFor[latchward.Reason]():
		return texts(latchward.Reasons()...)
	case reflect.TypeFor[latchward.TokenSort]():
		return texts(latchward.TokenSorts()...)
	case reflect.TypeFor[latchward.SubjectType]():
		return texts(latchward.SubjectUser, latchward.SubjectToken)
	case reflect.TypeFor[latchward.ForeignAlgorithm]():
		return texts(latchward.ForeignAlgorithms()...)
	case reflect.TypeFor[latchward.ImportStatus]():
		return texts(latchward.ImportStatuses()...)
	case reflect.TypeFor[latchward.OwnerType]():
		return texts(latchward.OwnerUser, latchward.OwnerGroup)
	}
	return nil
}

func texts[T ~string](values ...T) []string {
	list := make([]string, len(values))
	for i, value := range values {
		list[i] = string(value)
	}
	return list
}
