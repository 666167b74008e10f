package latchward_test

import (
	"fmt"

	"github.com/latchward/latchward"
)

func ExampleParsePermissionQuery() {
	q, err := latchward.ParsePermissionQuery("query", "(orders.read OR orders.admin) AND NOT legacy.x")
	if err != nil {
		fmt.Println(err)
		return
	}
	clerk := latchward.NewRights(latchward.RightsFacts{Permissions: []string{"*.read"}})
	fmt.Println(clerk.Allows(q))

	_, err = latchward.ParsePermissionQuery("query", "orders.read and documents.*")
	fmt.Println(err)
	// Output:
	// true
	// invalid: query: at position 13: expected AND, OR or the end, found that word in lower case: write AND
}

func ExampleRights_Missing() {
	q, err := latchward.ParsePermissionQuery("query",
		"stores.read AND (orders.read OR orders.admin) AND NOT legacy.x")
	if err != nil {
		fmt.Println(err)
		return
	}
	driver := latchward.NewRights(latchward.RightsFacts{Permissions: []string{"stores.*", "legacy.x"}})
	missing := driver.Missing(q)
	fmt.Println("needed:  ", missing.Needed)
	fmt.Println("lacking: ", missing.Lacking)
	fmt.Println("unwanted:", missing.Unwanted)
	// Output:
	// needed:   (orders.read OR orders.admin) AND NOT legacy.x
	// lacking:  [orders.read orders.admin]
	// unwanted: [legacy.x]
}
