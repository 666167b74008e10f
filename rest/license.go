package rest

import (
	"context"

	"github.com/latchward/latchward"
)

// License is an entitlement with a number of seats as the API shows it.
type License struct {
	ID          int64   `json:"id"`
	Name        string  `json:"name" doc:"By which programs ask for it."`
	Title       *string `json:"title" doc:"For people to read."`
	Description *string `json:"description"`
	MaxSeats    int64   `json:"max_seats" doc:"0 is no limit."`
	SeatsTaken  int64   `json:"seats_taken" doc:"By users and by service tokens."`
	ValidFrom   Time    `json:"valid_from" null:"true"`
	ValidUntil  Time    `json:"valid_until" null:"true" doc:"No longer valid from this instant on."`
	Valid       bool    `json:"valid" doc:"Whether it is valid now."`
	CreatedAt   Time    `json:"created_at"`
	UpdatedAt   Time    `json:"updated_at"`
}

// LicenseReply answers with one license.
type LicenseReply struct {
	License License `json:"license"`
	Revision
}

// LicenseList lists all licenses, in the order of their ids.
type LicenseList struct {
	Licenses []License `json:"licenses"`
}

// NewLicense asks for a license.
type NewLicense struct {
	Name        string           `json:"name" doc:"Lower-case letters, digits, -, _ and ."`
	Title       Optional[string] `json:"title,omitzero"`
	Description Optional[string] `json:"description,omitzero"`
	MaxSeats    Optional[int64]  `json:"max_seats,omitzero" range:"0,1000000000" doc:"0, and missing, is no limit."`
	ValidFrom   Optional[Time]   `json:"valid_from,omitzero" doc:"A date is its midnight in UTC."`
	ValidUntil  Optional[Time]   `json:"valid_until,omitzero" doc:"A date is its midnight in UTC."`
}

// LicenseChange changes a license: what is left out stays, null clears. Nobody loses a seat when there are fewer than
// are taken; none is given out until there are enough again.
type LicenseChange struct {
	Name        *string          `json:"name,omitempty" null:"false"`
	Title       Optional[string] `json:"title,omitzero"`
	Description Optional[string] `json:"description,omitzero"`
	MaxSeats    Optional[int64]  `json:"max_seats,omitzero" range:"0,1000000000"`
	ValidFrom   Optional[Time]   `json:"valid_from,omitzero"`
	ValidUntil  Optional[Time]   `json:"valid_until,omitzero"`
	Revision
}

func (h *handler) licenseOf(l latchward.LicenseStatus) License {
	return License{
		ID: int64(l.ID), Name: l.Name, Title: textOrNull(l.Title), Description: textOrNull(l.Description),
		MaxSeats: l.MaxSeats, SeatsTaken: l.Seats, ValidFrom: Time{l.ValidFrom}, ValidUntil: Time{l.ValidUntil},
		Valid: l.Valid(h.now()), CreatedAt: Time{l.CreatedAt}, UpdatedAt: Time{l.UpdatedAt},
	}
}

func (h *handler) licenseReply(l latchward.LicenseStatus, err error) (LicenseReply, error) {
	if err != nil {
		return LicenseReply{}, err
	}
	return LicenseReply{h.licenseOf(l), Revision{l.Revision()}}, nil
}

func (h *handler) licenses(ctx context.Context, _ request[none, none]) (LicenseList, error) {
	licenses, err := h.service.Licenses(ctx)
	reply := LicenseList{Licenses: make([]License, len(licenses))}
	for i, l := range licenses {
		reply.Licenses[i] = h.licenseOf(l)
	}
	return reply, err
}

func (h *handler) license(ctx context.Context, in request[none, none]) (LicenseReply, error) {
	return h.licenseReply(h.service.License(ctx, latchward.LicenseID(in.ID)))
}

func (h *handler) createLicense(ctx context.Context, in request[none, NewLicense]) (LicenseReply, error) {
	return h.licenseReply(h.service.CreateLicense(ctx, latchward.NewLicense{
		Name: in.Body.Name, Title: in.Body.Title.Value, Description: in.Body.Description.Value,
		MaxSeats: in.Body.MaxSeats.Value, ValidFrom: in.Body.ValidFrom.Value.Time, ValidUntil: in.Body.ValidUntil.Value.Time,
	}))
}

func (h *handler) updateLicense(ctx context.Context, in request[none, LicenseChange]) (LicenseReply, error) {
	return h.licenseReply(h.service.UpdateLicense(ctx, latchward.LicenseID(in.ID), latchward.LicenseUpdate{
		Name: in.Body.Name, Title: in.Body.Title.change(), Description: in.Body.Description.change(),
		MaxSeats: in.Body.MaxSeats.change(), ValidFrom: moment(in.Body.ValidFrom), ValidUntil: moment(in.Body.ValidUntil),
		Revisions: in.Revisions,
	}))
}

func (h *handler) deleteLicense(ctx context.Context, in request[none, none]) (Message, error) {
	err := h.service.DeleteLicense(ctx, latchward.LicenseID(in.ID))
	return Message{"License deleted; nobody has a seat of it any more"}, err
}

func (h *handler) takeSeat(ctx context.Context, in request[none, none]) (UserReply, error) {
	u, err := h.service.TakeSeat(ctx, latchward.LicenseID(in.ID), latchward.UserID(in.Second))
	return h.userReply(ctx, u, err)
}

func (h *handler) freeSeat(ctx context.Context, in request[none, none]) (UserReply, error) {
	u, err := h.service.FreeSeat(ctx, latchward.LicenseID(in.ID), latchward.UserID(in.Second))
	return h.userReply(ctx, u, err)
}
