package simnet

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Plot is a line plot of what runs have measured, for reports. It is written as
// an SVG that stands alone, and the same Plot gives the same bytes.
type Plot struct {
	Title  string
	X, Y   string // what the axes show, with the unit
	LogX   bool   // powers of ten
	LogY   bool
	Series []Series
}

// Series is one line of a Plot.
type Series struct {
	Name   string
	Points []Point // in any order
}

// Point is a value of a Series. One that is not a number, or beyond 10¹⁸, or on
// a logarithmic axis below 10⁻¹⁸, is left out.
type Point struct{ X, Y float64 }

// The picture, in pixels: where the lines are, and what is around them.
const (
	plotLeft, plotTop     = 80.0, 50.0
	plotWidth, plotHeight = 560.0, 320.0
	plotLegend            = 180.0
	plotBottom            = 70.0
)

// plotColors are the palette of Okabe and Ito, which people who are color-blind
// can tell apart. Further series take them again, with dashes.
var plotColors = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"}

// SVG returns the picture.
func (p Plot) SVG() []byte {
	x, y := axis{log: p.LogX}, axis{log: p.LogY}
	series := make([][]Point, len(p.Series))
	for i, s := range p.Series {
		for _, q := range s.Points {
			if x.shows(q.X) && y.shows(q.Y) {
				series[i] = append(series[i], q)
				x.include(q.X)
				y.include(q.Y)
			}
		}
		slices.SortStableFunc(series[i], func(a, b Point) int { return cmp.Compare(a.X, b.X) })
	}
	if !p.LogY {
		y.include(0) // heights compare only from zero
	}
	x.settle()
	y.settle()

	w := svg{}
	w.printf(`<svg xmlns="http://www.w3.org/2000/svg" width="%[1]g" height="%[2]g" viewBox="0 0 %[1]g %[2]g" font-family="sans-serif" font-size="12">`+"\n",
		plotLeft+plotWidth+plotLegend, plotTop+plotHeight+plotBottom)
	w.printf(`<rect width="100%%" height="100%%" fill="white"/>` + "\n")
	w.text(plotLeft+plotWidth/2, 28, `text-anchor="middle" font-size="16"`, p.Title)
	for _, v := range x.ticks() {
		at := plotLeft + x.place(v)*plotWidth
		w.line(at, plotTop, at, plotTop+plotHeight, "#ddd")
		w.text(at, plotTop+plotHeight+18, `text-anchor="middle"`, label(v))
	}
	for _, v := range y.ticks() {
		at := plotTop + (1-y.place(v))*plotHeight
		w.line(plotLeft, at, plotLeft+plotWidth, at, "#ddd")
		w.text(plotLeft-8, at+4, `text-anchor="end"`, label(v))
	}
	w.line(plotLeft, plotTop+plotHeight, plotLeft+plotWidth, plotTop+plotHeight, "black")
	w.line(plotLeft, plotTop, plotLeft, plotTop+plotHeight, "black")
	w.text(plotLeft+plotWidth/2, plotTop+plotHeight+45, `text-anchor="middle"`, p.X)
	w.text(0, 0, fmt.Sprintf(`text-anchor="middle" transform="translate(20 %g) rotate(-90)"`, plotTop+plotHeight/2), p.Y)

	for i, points := range series {
		style := fmt.Sprintf(`stroke="%s" stroke-width="2"`, plotColors[i%len(plotColors)])
		if k := i / len(plotColors); k > 0 {
			style += fmt.Sprintf(` stroke-dasharray="%d 3"`, 3*k+3)
		}
		w.printf(`<polyline fill="none" %s points="`, style)
		for j, q := range points {
			if j > 0 {
				w.printf(" ")
			}
			w.printf("%.2f,%.2f", plotLeft+x.place(q.X)*plotWidth, plotTop+(1-y.place(q.Y))*plotHeight)
		}
		w.printf(`"/>` + "\n")
		for _, q := range points {
			w.printf(`<circle cx="%.2f" cy="%.2f" r="3" fill="%s"/>`+"\n",
				plotLeft+x.place(q.X)*plotWidth, plotTop+(1-y.place(q.Y))*plotHeight, plotColors[i%len(plotColors)])
		}
		at := plotTop + 10 + 20*float64(i)
		w.printf(`<path d="M%g %gh24" fill="none" %s/>`+"\n", plotLeft+plotWidth+16, at, style)
		w.text(plotLeft+plotWidth+46, at+4, "", p.Series[i].Name)
	}
	w.printf("</svg>\n")
	return w.Bytes()
}

// svg writes elements.
type svg struct{ bytes.Buffer }

func (w *svg) printf(format string, args ...any) { fmt.Fprintf(&w.Buffer, format, args...) }

func (w *svg) line(x1, y1, x2, y2 float64, color string) {
	w.printf(`<path d="M%.2f %.2fL%.2f %.2f" stroke="%s"/>`+"\n", x1, y1, x2, y2, color)
}

func (w *svg) text(x, y float64, attributes, text string) {
	w.printf(`<text x="%.2f" y="%.2f" %s>`, x, y, attributes)
	xml.EscapeText(&w.Buffer, []byte(text)) // a Buffer does not fail
	w.printf("</text>\n")
}

// axis maps values to [0, 1].
type axis struct {
	log       bool
	any       bool
	low, high float64
	step      float64 // between two ticks; on a logarithmic axis in powers of ten
}

func (a *axis) shows(v float64) bool {
	return math.Abs(v) <= 1e18 && (!a.log || v >= 1e-18)
}

func (a *axis) include(v float64) {
	if !a.any {
		a.any, a.low, a.high = true, v, v
	}
	a.low, a.high = min(a.low, v), max(a.high, v)
}

// settle widens the axis to round values at both ends.
func (a *axis) settle() {
	if !a.any {
		a.low, a.high = 1, 10
	}
	if a.log {
		first, last := math.Floor(math.Log10(a.low)), math.Ceil(math.Log10(a.high))
		last = max(last, first+1)
		a.low, a.high = math.Pow(10, first), math.Pow(10, last)
		a.step = math.Ceil((last - first) / 12)
		return
	}
	if a.high-a.low <= 1e-12*max(math.Abs(a.low), math.Abs(a.high), 1e-12) {
		a.low, a.high = a.low-1, a.high+max(1, math.Abs(a.high)/10) // nothing to tell apart
	}
	a.step = roundUp((a.high - a.low) / 8)
	a.low = math.Floor(a.low/a.step) * a.step
	a.high = math.Ceil(a.high/a.step) * a.step
}

// roundUp returns the next 1, 2 or 5 times a power of ten.
func roundUp(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 5} {
		if f*power >= v {
			return f * power
		}
	}
	return 10 * power
}

func (a *axis) place(v float64) float64 {
	if a.log {
		return math.Log10(v/a.low) / math.Log10(a.high/a.low)
	}
	return (v - a.low) / (a.high - a.low)
}

func (a *axis) ticks() (at []float64) {
	if a.log {
		for e := math.Round(math.Log10(a.low)); e <= math.Round(math.Log10(a.high)); e += a.step {
			at = append(at, math.Pow(10, e))
		}
		return at
	}
	for i := math.Round(a.low / a.step); i <= math.Round(a.high/a.step); i++ {
		at = append(at, i*a.step)
	}
	return at
}

// label writes a value so that 0.30000000000000004 is 0.3, and 10000 is that.
func label(v float64) string {
	if v == 0 {
		return "0" // also -0
	}
	if m := math.Abs(v); m >= 1e-4 && m < 1e7 {
		v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 10, 64), 64)
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
