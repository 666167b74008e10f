package latchward

import (
	"context"
	"time"
)

// LicenseStatus is a license and how many of its seats are taken.
type LicenseStatus struct {
	*License
	Seats int64 // taken
}

// Licenses returns all licenses. It needs licenses.read.
func (s *Service) Licenses(ctx context.Context) ([]LicenseStatus, error) {
	if _, err := holder(ctx, PermissionLicensesRead); err != nil {
		return nil, err
	}
	licenses, err := s.store.Licenses(ctx)
	if err != nil {
		return nil, err
	}
	seats, err := s.store.Seats(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]LicenseStatus, len(licenses))
	for i, license := range licenses {
		list[i] = LicenseStatus{license, seats[license.ID]}
	}
	return list, nil
}

// License returns one license. It needs licenses.read.
func (s *Service) License(ctx context.Context, id LicenseID) (LicenseStatus, error) {
	if _, err := holder(ctx, PermissionLicensesRead); err != nil {
		return LicenseStatus{}, err
	}
	license, err := s.store.License(ctx, id)
	if err != nil {
		return LicenseStatus{}, noSuch(err, "License")
	}
	seats, err := s.store.Seats(ctx)
	return LicenseStatus{license, seats[id]}, err
}

// CreateLicense adds a license. It needs licenses.create. Errors: invalid, conflict for a name that is taken.
func (s *Service) CreateLicense(ctx context.Context, n NewLicense) (status LicenseStatus, err error) {
	defer s.noteDenial(ctx, PermissionLicensesCreate, 0, n.Name, &err)
	p, err := holder(ctx, PermissionLicensesCreate)
	if err != nil {
		return LicenseStatus{}, err
	}
	now := s.timestamp()
	license := License{
		Name: n.Name, Title: n.Title, Description: n.Description, MaxSeats: n.MaxSeats,
		ValidFrom: toMillisecond(n.ValidFrom), ValidUntil: toMillisecond(n.ValidUntil), CreatedAt: now, UpdatedAt: now,
	}
	if err := license.Validate(); err != nil {
		return LicenseStatus{}, err
	}
	created := &License{}
	err = s.tx(ctx, func(tx Tx) error {
		*created = license
		if err := tx.SaveLicense(created); err != nil {
			return err
		}
		return s.auditLicense(tx, p, ActionLicenseCreate, created, nil, now)
	})
	return LicenseStatus{License: created}, err
}

// UpdateLicense changes what u names, for everybody who has a seat, from the next request on. It needs licenses.update.
func (s *Service) UpdateLicense(ctx context.Context, id LicenseID, u LicenseUpdate) (LicenseStatus, error) {
	return s.changeLicense(ctx, PermissionLicensesUpdate, id, func(tx Tx, p Principal, l *License, now time.Time) error {
		if err := checkRevision(u.Revisions, l.Revision()); err != nil {
			return err
		}
		before := licenseFacts(l)
		set(&l.Name, u.Name)
		set(&l.Title, u.Title)
		set(&l.Description, u.Description)
		set(&l.MaxSeats, u.MaxSeats)
		if u.ValidFrom != nil {
			l.ValidFrom = toMillisecond(*u.ValidFrom)
		}
		if u.ValidUntil != nil {
			l.ValidUntil = toMillisecond(*u.ValidUntil)
		}
		l.UpdatedAt = now
		if err := l.Validate(); err != nil {
			return err
		}
		if err := tx.SaveLicense(l); err != nil {
			return err
		}
		return s.auditLicense(tx, p, ActionLicenseUpdate, l, before, now)
	})
}

// DeleteLicense takes the license from everybody who has a seat. It needs licenses.delete.
func (s *Service) DeleteLicense(ctx context.Context, id LicenseID) error {
	_, err := s.changeLicense(ctx, PermissionLicensesDelete, id, func(tx Tx, p Principal, l *License, now time.Time) error {
		if err := tx.DeleteLicense(id); err != nil {
			return err
		}
		return s.auditChange(tx, p, ActionLicenseDelete, licenseTarget(l), licenseFacts(l), nil, now)
	})
	return err
}

func (s *Service) changeLicense(
	ctx context.Context, permission string, id LicenseID,
	edit func(tx Tx, p Principal, l *License, now time.Time) error,
) (changed LicenseStatus, err error) {
	defer s.noteDenial(ctx, permission, int64(id), "", &err)
	p, err := holder(ctx, permission)
	if err != nil {
		return LicenseStatus{}, err
	}
	now := s.timestamp()
	err = s.tx(ctx, func(tx Tx) error {
		var err error
		if changed.License, err = tx.License(id); err != nil {
			return noSuch(err, "License")
		}
		if changed.Seats, err = tx.Seats(id); err != nil {
			return err
		}
		return edit(tx, p, changed.License, now)
	})
	return changed, err
}

func licenseTarget(l *License) target { return target{"license", int64(l.ID), l.Name} }

func (s *Service) auditLicense(tx Tx, p Principal, action string, l *License, before map[string]any, now time.Time) error {
	return s.auditChange(tx, p, action, licenseTarget(l), before, licenseFacts(l), now)
}

func licenseFacts(l *License) map[string]any {
	return map[string]any{
		"name": l.Name, "title": l.Title, "description": l.Description, "max_seats": l.MaxSeats,
		"valid_from": auditTime(l.ValidFrom), "valid_until": auditTime(l.ValidUntil),
	}
}
