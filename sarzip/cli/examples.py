"""What `sarzip COMMAND --help` ends with: an example for every option of the command.

`tests/test_60_help.py` parses each of them and misses none of the options.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

EXAMPLES = {
    "compress": """\
sarzip compress scene.tif -o scene.sarz
sarzip compress scene.tif -o scene.sarz --quality 80   # finer than 60
sarzip compress scene.tif -o scene.sarz --bpp 0.5      # half a bit a pixel
sarzip compress scene.tif -o scene.sarz --ratio 20     # a twentieth
sarzip compress scene.tif -o scene.sarz --size 40M     # 40 MB at most
sarzip compress scene.tif -o scene.sarz --rmse-db 1
sarzip compress scene.tif -o scene.sarz --max-error-db 0.5
sarzip compress scene.tif -o scene.sarz --max-error 2  # in stored units
sarzip compress scene.tif -o scene.sarz --lossless
sarzip compress dem.tif -o dem.sarz --others refuse    # only backscatter
sarzip compress stack.tif -o stack.sarz --band-kind 3=phase
sarzip compress gamma0.tif -o gamma0.sarz --domain power
sarzip compress scene.tif -o scene.sarz --effort fast --device cpu
sarzip compress scene.tif -o scene.sarz --model models/ae16 --threads 4
sarzip compress scene.tif -o scene.sarz --verify --strict --force
sarzip compress in/ -o out/ --recursive --resume --jobs 2 --quiet
sarzip compress in/ -o out/ --scheduler tcp://head:8786
sarzip compress scene.tif -o scene.sarz --stac         # and scene.json
sarzip compress scene.tif -o scene.sarz --stac --datetime 2026-01-31T05:59:10Z
sarzip compress scene.tif -o scene.sarz --json | jq .bpp
cat scene.tif | sarzip compress - -o - > scene.sarz""",
    "decompress": """\
sarzip decompress scene.sarz -o scene.tif
sarzip decompress scene.sarz -o part.tif --window 9000,8000,512,512
sarzip decompress scene.sarz -o part.tif --bbox 9.1,54,9.3,54.2 \
--bbox-crs EPSG:4326
sarzip decompress scene.sarz -o vh.tif --band 2
sarzip decompress scene.sarz -o small.tif --scale 8    # 8x8 pixels to one
sarzip decompress scene.sarz -o scene.tif --cog --strict --force
sarzip decompress broken.sarz -o rest.tif --salvage --salvage-mask mask.tif
sarzip decompress scene.sarz -o scene.tif --model my-model --trust-model
sarzip decompress scene.sarz -o scene.tif --device cuda:0 --threads 4
sarzip decompress archive/ -o out/ --recursive --jobs 2 --quiet
sarzip decompress scene.sarz -o scene.tif --json | jq .seconds
cat scene.sarz | sarzip decompress - -o - > scene.tif""",
    "info": """\
sarzip info scene.sarz
sarzip info https://example.com/scene.sarz             # reads two ranges
sarzip info archive/ --recursive --jobs 4 --json | jq .bpp""",
    "verify": """\
sarzip verify scene.sarz
sarzip verify scene.sarz --deep --device cpu --threads 4
sarzip verify scene.sarz --deep --model my-model --trust-model
sarzip verify archive/ --recursive --jobs 2 --quiet && echo intact
sarzip verify archive/ --json > verified.jsonl""",
    "preview": """\
sarzip preview scene.sarz -o scene.png
sarzip preview scene.sarz -o scene.jpg --size 512 --composite difference
sarzip preview scene.sarz -o scene.png --limits -25,0  # in dB
sarzip preview scene.sarz -o scene.png --stretch 1,99.5
sarzip preview scene.sarz -o scene.tif --north-up --force
sarzip preview scene.sarz -o vh.png --band 2 --colormap batlow
sarzip preview scene.sarz -o part.png --window 9000,8000,512,512
sarzip preview scene.sarz -o part.png --bbox 9.1,54,9.3,54.2 \
--bbox-crs EPSG:4326
sarzip preview scene.sarz -o scene.png --model my-model --trust-model
sarzip preview scene.sarz -o scene.png --device cpu --threads 4 --quiet
sarzip preview scene.sarz -o scene.png --json | jq .channels""",
    "vrt": """\
sarzip vrt scene.sarz -o scene.vrt
sarzip vrt https://example.com/scene.sarz -o scene.vrt --force --quiet
sarzip vrt scene.sarz -o scene.vrt --json | jq .output""",
    "compare": """\
sarzip compare scene.tif back.tif
sarzip compare scene.tif scene.sarz --domain power
sarzip compare scene.tif scene.sarz --device cpu --threads 4
sarzip compare scene.tif back.tif --html report.html --force
sarzip compare scene.tif back.tif --json | jq .bands""",
    "stac": """\
sarzip stac scene.sarz                                 # writes scene.json
sarzip stac scene.sarz -o - --quiet | jq .properties
sarzip stac scene.sarz --datetime 2026-01-31T05:59:10Z --force""",
    "sample": """\
sarzip sample -o scene.tif
sarzip sample -o scene.tif --size 4096 --looks 4 --form power --seed 7
sarzip sample -o scene.tif --dual-pol                  # VV and VH
sarzip sample -o strip.tif --width 8000 --height 2000 --threads 4
sarzip sample -o full.tif --like s1-grdh --force --quiet
sarzip sample -o scene.tif --json | jq .seconds""",
    "bench": """\
sarzip bench scene.tif
sarzip bench scenes/ --codecs sarzip,openjpeg --qualities 40,60,80 --curves
sarzip bench scenes/ --plot curves.png --force --quiet
sarzip bench scenes/ --html curves.html
sarzip bench scenes/ --bounded 0.25,0.5
sarzip bench scenes/ --lossless
sarzip bench big.tif --effort fast --processes --threads 2 --device cpu
sarzip bench scene.tif --json > bench.json""",
    "train": """\
sarzip train models/lapped16/config.toml --data scenes/ -o out
sarzip train models/pixel/config.toml --data scenes/ -o out --device cuda:0
sarzip train models/ae16/config.toml --data scenes/ -o out --quiet""",
    "clean": """\
sarzip clean archive/
sarzip clean archive/ --recursive --dry-run
sarzip clean archive/ --all --quiet                    # of other machines
sarzip clean archive/ --json | jq .removed""",
}


class Command(TyperCommand):
    """A command whose help ends with its examples, as they are: an epilog's lines would be run together."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help and the examples; some releases of typer use click's classes, others a copy."""
        super().format_help(ctx, formatter)
        lines = EXAMPLES.get(self.name or "", "").splitlines()
        formatter.write("".join(f"  {line}\n" for line in ["Examples:", *lines] if lines))
