package extauthz

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// CodeOf returns the gRPC code for a reason: OK for allowed, Internal for one that is not in the table.
func CodeOf(reason latchward.Reason) codes.Code {
	switch reason {
	case latchward.ReasonAllowed:
		return codes.OK
	case latchward.ReasonBadRequest:
		return codes.InvalidArgument
	case latchward.ReasonMissing, latchward.ReasonMalformed, latchward.ReasonNotFound, latchward.ReasonRevoked,
		latchward.ReasonRotated, latchward.ReasonDisabled, latchward.ReasonExpired, latchward.ReasonNotYetValid,
		latchward.ReasonOwnerDisabled:
		return codes.Unauthenticated
	case latchward.ReasonAddressNotAllowed, latchward.ReasonLicenseMissing, latchward.ReasonEndpointNotAllowed,
		latchward.ReasonInsufficientPermissions:
		return codes.PermissionDenied
	case latchward.ReasonRateLimited, latchward.ReasonQuotaExceeded, latchward.ReasonTooManyConcurrent:
		return codes.ResourceExhausted
	default:
		return codes.Internal
	}
}

// CodeOfError returns the gRPC code for the code of an Error. One that is not in the table is Internal.
func CodeOfError(code latchward.Code) codes.Code {
	switch code {
	case latchward.CodeInvalid:
		return codes.InvalidArgument
	case latchward.CodeUnauthenticated:
		return codes.Unauthenticated
	case latchward.CodeForbidden:
		return codes.PermissionDenied
	case latchward.CodeNotFound:
		return codes.NotFound
	case latchward.CodeConflict:
		return codes.FailedPrecondition
	case latchward.CodeExhausted:
		return codes.ResourceExhausted
	case latchward.CodeUnavailable:
		return codes.Unavailable
	default:
		return codes.Internal
	}
}

// statusOfCode returns the HTTP status that usage is recorded with, after google/rpc/code.proto.
func statusOfCode(code codes.Code) int {
	switch code {
	case codes.OK:
		return 200
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange:
		return 400
	case codes.Unauthenticated:
		return 401
	case codes.PermissionDenied:
		return 403
	case codes.NotFound:
		return 404
	case codes.AlreadyExists, codes.Aborted:
		return 409
	case codes.ResourceExhausted:
		return 429
	case codes.Canceled:
		return 499
	case codes.Unimplemented:
		return 501
	case codes.Unavailable:
		return 503
	case codes.DeadlineExceeded:
		return 504
	default:
		return 500
	}
}

// domain is whose reasons an ErrorInfo tells.
const domain = "latchward"

// refusal returns the status of a refused verdict. Its details are an ErrorInfo with the code that HTTP has, too, and a
// RetryInfo when waiting helps (google/rpc/error_details.proto).
func refusal(v *latchward.Verdict, missing string) error {
	p := httpauth.ProblemOf(v)
	text := p.Error
	if missing != "" {
		text += ": " + missing
	}
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: p.Code, Domain: domain}}
	if wait := v.RetryAfter(); wait > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	}
	return withDetails(status.New(CodeOf(v.Reason), text), details)
}

// failure returns the status of a call for which there is no verdict: what an outsider may know of err.
func failure(err error) error {
	code := latchward.ErrorCode(err)
	info := &errdetails.ErrorInfo{Reason: string(code), Domain: domain}
	return withDetails(status.New(CodeOfError(code), latchward.ErrorMessage(err)), []protoadapt.MessageV1{info})
}

func withDetails(s *status.Status, details []protoadapt.MessageV1) error {
	if detailed, err := s.WithDetails(details...); err == nil {
		return detailed.Err()
	}
	return s.Err() // the code and the words are what matters
}
