package apps

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"
	"image/png"
)

const (
	maxSide = 256       // pixels
	maxIcon = 128 << 10 // bytes, as it is encoded here
)

// checkIcon decodes a PNG and encodes its pixels anew, so that no decoder of the host's desktop sees a byte of a guest's.
func checkIcon(data []byte) ([]byte, error) {
	header, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("reading it as a PNG: %w", err)
	}
	if header.Width > maxSide || header.Height > maxSide {
		return nil, fmt.Errorf("it is %d by %d pixels large, and may be %d by %d", header.Width, header.Height, maxSide, maxSide)
	}
	decoded, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("reading it as a PNG: %w", err)
	}
	// The same kind of pixels for all.
	pixels := image.NewNRGBA(image.Rect(0, 0, header.Width, header.Height))
	draw.Draw(pixels, pixels.Bounds(), decoded, decoded.Bounds().Min, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&out, pixels); err != nil {
		return nil, err
	}
	if out.Len() > maxIcon {
		return nil, fmt.Errorf("it takes %d bytes, and may take %d", out.Len(), maxIcon)
	}
	return out.Bytes(), nil
}
