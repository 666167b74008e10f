package latchward

import "time"

// LicenseID identifies a license for ever; it is never given to another one.
type LicenseID int64

// License is an entitlement with a number of seats. A user or a service token that holds it takes one; a personal token
// uses its owner's. Revoked tokens and removed users take none.
type License struct {
	ID          LicenseID
	Name        string // unique; by which programs ask for it, see ValidateIdentifier
	Title       string // for people to read, up to MaxNameLength characters; "" = Name
	Description string // up to MaxDescriptionLength characters
	MaxSeats    int64  // 0 = unlimited
	ValidFrom   time.Time
	ValidUntil  time.Time // holds no more from this instant on
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Valid reports whether l entitles whoever holds it at now.
func (l *License) Valid(now time.Time) bool {
	return !now.Before(l.ValidFrom) && (l.ValidUntil.IsZero() || now.Before(l.ValidUntil))
}

// MaxLicenseSeats bounds License.MaxSeats.
const MaxLicenseSeats = 1_000_000_000

// Validate checks every field that a caller can set.
func (l *License) Validate() error {
	if err := ValidateIdentifier("name", l.Name); err != nil {
		return err
	}
	if err := validateText("title", l.Title, 0, MaxNameLength); err != nil {
		return err
	}
	if err := validateText("description", l.Description, 0, MaxDescriptionLength); err != nil {
		return err
	}
	if l.MaxSeats < 0 || l.MaxSeats > MaxLicenseSeats {
		return Invalid("max_seats", "must be a whole number from 0, for unlimited, to %d", MaxLicenseSeats)
	}
	return validatePeriod("valid_from", l.ValidFrom, "valid_until", l.ValidUntil)
}

// NewLicense is what somebody who makes a license may say.
type NewLicense struct {
	Name        string // required
	Title       string
	Description string
	MaxSeats    int64
	ValidFrom   time.Time
	ValidUntil  time.Time
}

// LicenseUpdate changes a license; nil leaves a field as it is. MaxSeats may be lowered below the seats taken: nobody
// loses one, but none is given out until there are fewer.
type LicenseUpdate struct {
	Name        *string
	Title       *string
	Description *string
	MaxSeats    *int64
	ValidFrom   *time.Time
	ValidUntil  *time.Time
	Revisions   []string // the license must have one of these, see [License.Revision]; empty = whatever it has
}
