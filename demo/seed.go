package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/latchward/latchward"
)

// Administrator is the external id of the person who owns most of the sample tokens: the "sub" of a JWT for her.
const Administrator = "ada"

// AdministratorEmail is what she signs in on the pages with.
const AdministratorEmail = "ada@example.com"

// Tokens are the sample tokens with their secrets.
type Tokens struct {
	WordPress   latchward.IssuedToken // 200 a minute, three patterns, no expiry
	Mobile      latchward.IssuedToken // 500 a minute, unrestricted
	Partner     latchward.IssuedToken // expired with the year 2025
	Development latchward.IssuedToken // expired in the middle of 2025
	Device      latchward.IssuedToken // a device in the field: permanent until revoked, never idle
	Verifier    latchward.IssuedToken // a service that asks for verdicts
	Till        latchward.IssuedToken // of a group: has a role, a group, a permission through the role, and a license
}

// Seed creates two people, a role, a group and a license, and the sample tokens (S2-39, S1-20, S5-09) in s.
func Seed(ctx context.Context, s *latchward.Service) (Tokens, error) {
	ctx = latchward.WithPrincipal(ctx, latchward.Principal{
		Type: latchward.PrincipalSystem, Name: "demo", Administrator: true,
	})
	ada, err := s.CreateUser(ctx, latchward.NewUser{
		ExternalID: Administrator, Email: AdministratorEmail, Name: "Ada Example", Administrator: true,
	})
	if err != nil {
		return Tokens{}, fmt.Errorf("creating the sample administrator: %w", err)
	}
	ben, err := s.CreateUser(ctx, latchward.NewUser{ExternalID: "ben", Email: "ben@example.com", Name: "Ben Beekeeper"})
	if err != nil {
		return Tokens{}, fmt.Errorf("creating the sample beekeeper: %w", err)
	}
	team, err := seedRights(ctx, s)
	if err != nil {
		return Tokens{}, fmt.Errorf("creating the sample role, group and license: %w", err)
	}
	var tokens Tokens
	for _, sample := range samples(&tokens, ada.ID, ben.ID, team) {
		if *sample.issued, err = s.CreateToken(ctx, sample.token); err != nil {
			return Tokens{}, fmt.Errorf("creating the sample token %q: %w", sample.token.Name, err)
		}
	}
	return tokens, nil
}

// seedRights creates what the sample operations ask for, and returns the group.
func seedRights(ctx context.Context, s *latchward.Service) (latchward.GroupID, error) {
	if _, err := s.SavePermission(ctx, latchward.Permission{Name: Permission, Title: "See the stock"}); err != nil {
		return 0, err
	}
	if _, err := s.CreateRole(ctx, latchward.NewRole{
		Name: Role, Title: "Stock keeper", Permissions: []string{"stock.*"},
	}); err != nil {
		return 0, err
	}
	if _, err := s.CreateLicense(ctx, latchward.NewLicense{
		Name: License, Title: "Forecasts of the harvest", MaxSeats: 2,
	}); err != nil {
		return 0, err
	}
	group, err := s.CreateGroup(ctx, latchward.NewGroup{Name: Group, Title: "Meadow & Hive"})
	if err != nil {
		return 0, err
	}
	return group.ID, nil
}

type sample struct {
	issued *latchward.IssuedToken
	token  latchward.NewToken
}

func samples(into *Tokens, ada, ben latchward.UserID, team latchward.GroupID) []sample {
	never := 0
	by := func(id latchward.UserID) *latchward.Owner {
		return &latchward.Owner{Type: latchward.OwnerUser, ID: int64(id)}
	}
	return []sample{
		{&into.WordPress, latchward.NewToken{
			Name: "WordPress - example.com", Description: "Main WordPress website integration", Owner: by(ada),
			RateLimit: 200, AllowedEndpoints: []string{"/products*", "/stores*", "/categories*"},
		}},
		{&into.Mobile, latchward.NewToken{
			Name: "iOS App - Production", Description: "Production iOS application", Owner: by(ada), RateLimit: 500,
		}},
		{&into.Partner, latchward.NewToken{
			Name: "Partner ABC - Integration", Description: "Third-party partner integration", Owner: by(ada),
			RateLimit: 100, AllowedEndpoints: []string{"/products*"},
			ExpiresAt: time.Date(2025, 12, 31, 0, 0, 0, 0, time.UTC),
		}},
		{&into.Development, latchward.NewToken{
			Name: "Development - Local Testing", Description: "For local development and testing", Owner: by(ada),
			RateLimit: 1000, ExpiresAt: time.Date(2025, 6, 30, 0, 0, 0, 0, time.UTC),
		}},
		{&into.Device, latchward.NewToken{
			Name: "Hive 7 - Entrance observer", Description: "Camera and scale at the entrance of hive 7", Owner: by(ben),
			IdleTimeoutDays: &never, Tags: []string{"device", "hive-7"},
		}},
		{&into.Verifier, latchward.NewToken{
			Name: "Telemetry service", Description: "Asks Latchward about the tokens it is shown", Owner: by(ada),
			Kind: latchward.KindService, Permissions: []string{latchward.PermissionVerify},
			RateLimit: latchward.MaxRateLimit, IdleTimeoutDays: &never,
		}},
		{&into.Till, latchward.NewToken{
			Name: "Till - Meadow & Hive", Description: "Belongs to the group, so it outlives whoever made it",
			Owner: &latchward.Owner{Type: latchward.OwnerGroup, ID: int64(team)}, Kind: latchward.KindService,
			Roles: []string{Role}, Groups: []string{Group}, Licenses: []string{License}, RateLimit: 300,
		}},
	}
}
