package simnet

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// parts is what a reader of the picture sees.
type parts struct {
	texts []string
	lines [][]Point // of the polylines
}

func read(t require.TestingT, picture []byte) (p parts) {
	dec := xml.NewDecoder(bytes.NewReader(picture))
	inText := false
	for depth := 0; ; {
		token, err := dec.Token()
		if err == io.EOF {
			require.Zero(t, depth)
			return p
		}
		require.NoError(t, err)
		switch e := token.(type) {
		case xml.StartElement:
			depth++
			require.Equal(t, "http://www.w3.org/2000/svg", e.Name.Space)
			inText = e.Name.Local == "text"
			if inText {
				p.texts = append(p.texts, "")
			}
			for _, a := range e.Attr {
				if a.Name.Local != "points" {
					require.NotContains(t, a.Value, "NaN")
					require.NotContains(t, a.Value, "Inf")
					continue
				}
				var line []Point
				for _, f := range strings.Fields(a.Value) {
					xs, ys, ok := strings.Cut(f, ",")
					require.True(t, ok)
					x, err := strconv.ParseFloat(xs, 64)
					require.NoError(t, err)
					y, err := strconv.ParseFloat(ys, 64)
					require.NoError(t, err)
					line = append(line, Point{x, y})
				}
				p.lines = append(p.lines, line)
			}
		case xml.CharData:
			if inText {
				p.texts[len(p.texts)-1] += string(e)
			}
		case xml.EndElement:
			depth--
			inText = false
		}
	}
}

func TestPlotShowsItsSeries(t *testing.T) {
	plot := Plot{
		Title: "delivery <all & everybody>",
		X:     "nodes", Y: "p99 (ms)", LogX: true,
		Series: []Series{
			{"tree", []Point{{10_000, 400}, {10, 100}, {100, 200}}},
			{"flood", []Point{{10, 50}, {0, 7}, {100, math.NaN()}, {1000, 800}}},
		},
	}
	picture := plot.SVG()
	require.Equal(t, picture, plot.SVG())
	p := read(t, picture)
	require.Equal(t, [][]Point{
		// x from 10 to 10,000 on 560 px, y from 0 to 800 on 320 px downwards
		{{80, 330}, {266.67, 290}, {640, 210}},
		{{80, 350}, {453.33, 50}},
	}, p.lines)
	require.Equal(t, []string{"delivery <all & everybody>",
		"10", "100", "1000", "10000",
		"0", "100", "200", "300", "400", "500", "600", "700", "800",
		"nodes", "p99 (ms)", "tree", "flood"}, p.texts)
}

func TestPlotLabelsAreRound(t *testing.T) {
	p := read(t, Plot{Series: []Series{{"", []Point{{0.1, -0.3}, {0.5, 0.3}}}}}.SVG())
	require.Equal(t, []string{"",
		"0.1", "0.15", "0.2", "0.25", "0.3", "0.35", "0.4", "0.45", "0.5",
		"-0.3", "-0.2", "-0.1", "0", "0.1", "0.2", "0.3",
		"", "", ""}, p.texts)
	require.Equal(t, "1e-06", label(1e-6))
	require.Equal(t, "1e+09", label(1e9))
	require.Equal(t, "0", label(0))
}

func TestPlotOfAnythingIsAPicture(t *testing.T) {
	read(t, Plot{}.SVG())
	rapid.Check(t, func(t *rapid.T) {
		plot := Plot{
			Title: rapid.String().Draw(t, "title"),
			LogX:  rapid.Bool().Draw(t, "logx"),
			LogY:  rapid.Bool().Draw(t, "logy"),
		}
		value := rapid.OneOf(rapid.Float64Range(-1e12, 1e12), rapid.Float64Range(1e-9, 1),
			rapid.SampledFrom([]float64{0, 1, 1 + 1e-15, 5e-324, 1e300, math.Inf(1), math.NaN()}))
		for range rapid.IntRange(0, 9).Draw(t, "series") {
			s := Series{Name: rapid.String().Draw(t, "name")}
			for range rapid.IntRange(0, 5).Draw(t, "points") {
				s.Points = append(s.Points, Point{value.Draw(t, "x"), value.Draw(t, "y")})
			}
			plot.Series = append(plot.Series, s)
		}
		p := read(t, plot.SVG())
		require.Len(t, p.lines, len(plot.Series))
		for _, l := range p.lines {
			for _, q := range l {
				require.True(t, q.X >= plotLeft && q.X <= plotLeft+plotWidth)
				require.True(t, q.Y >= plotTop && q.Y <= plotTop+plotHeight)
			}
		}
	})
}

func TestAxesAreRoundAndHoldAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := axis{log: rapid.Bool().Draw(t, "log")}
		values := rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(1e-9, 1e9), rapid.Float64Range(1, 2)), 1, 5).Draw(t, "values")
		for _, v := range values {
			a.include(v)
		}
		a.settle()
		for _, v := range values {
			require.True(t, a.place(v) >= -1e-9 && a.place(v) <= 1+1e-9)
		}
		ticks := a.ticks()
		require.True(t, len(ticks) >= 2 && len(ticks) <= 14, len(ticks))
		require.InDelta(t, 0, a.place(ticks[0]), 1e-9)
		require.LessOrEqual(t, a.place(ticks[len(ticks)-1]), 1+1e-9)
	})
}
