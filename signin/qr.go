package signin

import (
	"fmt"
	"html/template"
	"image/color"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// quietZone is the empty border that readers need, in modules (ISO/IEC 18004 §9.1).
const quietZone = 4

// qrCode returns text as a QR code in SVG. It is dark on light in either colour scheme: readers expect that.
func qrCode(text string) (template.HTML, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return "", fmt.Errorf("drawing a QR code: %w", err)
	}
	n := code.Bounds().Dx()
	var modules strings.Builder
	for y := range n {
		for x := range n {
			if code.At(x, y) == color.Black {
				fmt.Fprintf(&modules, "M%d %dh1v1h-1z", x+quietZone, y+quietZone)
			}
		}
	}
	size := n + 2*quietZone
	return template.HTML(fmt.Sprintf( //nolint:gosec // numbers only
		`<svg class="qr" role="img" aria-label="QR code with the secret below" viewBox="0 0 %d %d" `+
			`shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="%s"/></svg>`,
		size, size, size, size, modules.String())), nil
}
