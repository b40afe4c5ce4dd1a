"""Names of common parameters, for where ecCodes is not installed.

The rows say what ecCodes gives for them, whatever the centre; a test compares them. With ecCodes nothing here is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from intake_virtualzarr.formats.grib.product import LAYOUTS, scaled

__all__ = ["Naming", "common_name"]

ANYWHERE = "1,2,7,10,100,101,103:10,103:2,105,106"
"""Surfaces of a row with an asterisk that no other row names."""
EDITION_2 = """
0.0.0||*|t|t|130|K|air_temperature|Temperature
0.0.0||103:2|2t|t2m|167|K|air_temperature|2 metre temperature
0.0.2||*|pt|pt|3|K||Potential temperature
0.0.6||*|dpt|dpt|3017|K||Dew point temperature
0.0.6||103:2|2d|d2m|168|K||2 metre dewpoint temperature
0.0.10|1|1|slhf|slhf|147|J m**-2|surface_upward_latent_heat_flux|Time-integrated surface latent heat net flux
0.0.11|1|1|sshf|sshf|146|J m**-2|surface_upward_sensible_heat_flux|Time-integrated surface sensible heat net flux
0.0.17||1|skt|skt|235|K||Skin temperature
0.1.0||*|q|q|133|kg kg**-1|specific_humidity|Specific humidity
0.1.0||103:2|2sh|sh2|174096|kg kg**-1|specific_humidity|2 metre specific humidity
0.1.1||*|r|r|157|%|relative_humidity|Relative humidity
0.1.1||103:2|2r|r2|260242|%|relative_humidity|2 metre relative humidity
0.1.3||*|pwat|pwat|3054|kg m**-2||Precipitable water
0.1.7||*|prate|prate|3059|kg m**-2 s**-1||Precipitation rate
0.1.10||*|acpcp|acpcp|3063|kg m**-2|lwe_thickness_of_convective_precipitation_amount|Convective precipitation (water)
0.1.11||*|sde|sde|3066|m|lwe_thickness_of_surface_snow_amount|Snow depth
0.1.13||*|sdwe|sdwe|260056|kg m**-2||Water equivalent of accumulated snow depth (deprecated)
0.1.51||*|tcwat|tcwat|260047|kg m**-2||Total column water (Vertically integrated total water (vapour + cloud water/ice))
0.1.52||1|tprate|tprate|260048|kg m**-2 s**-1||Total precipitation rate
0.1.52|1|1|tp|tp|228228|kg m**-2||Total Precipitation
0.1.53|1|1|sf|sf|228144|kg m**-2||Snowfall water equivalent
0.1.54|1|1|lsp|lsp|3062|kg m**-2||Large-scale precipitation
0.1.60||*|sd|sd|228141|kg m**-2||Snow depth water equivalent
0.1.83||*|clwc|clwc|246|kg kg**-1||Specific cloud liquid water content
0.1.84||*|ciwc|ciwc|247|kg kg**-1||Specific cloud ice water content
0.2.0||*|wdir|wdir|3031|Degree true||Wind direction
0.2.0||103:10|10wdir|wdir10|260260|Degree true||10 metre wind direction
0.2.1||*|ws|ws|10|m s**-1||Wind speed
0.2.1||103:10|10si|si10|207|m s**-1||10 metre wind speed
0.2.2||*|u|u|131|m s**-1|eastward_wind|U component of wind
0.2.2||103:10|10u|u10|165|m s**-1|eastward_wind|10 metre U wind component
0.2.3||*|v|v|132|m s**-1|northward_wind|V component of wind
0.2.3||103:10|10v|v10|166|m s**-1|northward_wind|10 metre V wind component
0.2.8||*|w|w|135|Pa s**-1|lagrangian_tendency_of_air_pressure|Vertical velocity
0.2.9||*|wz|wz|260238|m s**-1||Geometric vertical velocity
0.2.10||*|absv|absv|3041|s**-1||Absolute vorticity
0.2.12||*|vo|vo|138|s**-1|atmosphere_relative_vorticity|Vorticity (relative)
0.2.13||*|d|d|155|s**-1|divergence_of_wind|Divergence
0.2.14||*|pv|pv|60|K m**2 kg**-1 s**-1||Potential vorticity
0.2.22||*|gust|gust|260065|m s**-1||Wind speed (gust)
0.2.22||103:10|i10fg|i10fg|228029|m s**-1||Instantaneous 10 metre wind gust
0.2.32||*|etadot|etadot|77|s**-1||Eta-coordinate vertical velocity
0.3.0||1|sp|sp|134|Pa|surface_air_pressure|Surface pressure
0.3.0||10,100,103:10,103:2,105,106|pres|pres|54|Pa||Pressure
0.3.0||101|msl|msl|151|Pa|air_pressure_at_mean_sea_level|Mean sea level pressure
0.3.1||*|prmsl|prmsl|260074|Pa||Pressure reduced to MSL
0.3.4||*|z|z|129|m**2 s**-2|geopotential|Geopotential
0.3.5||1|orog|orog|228002|m|geopotential_height|Orography
0.3.5||*|gh|gh|156|gpm|geopotential_height|Geopotential height
0.3.18||*|blh|blh|159|m||Boundary layer height
0.4.7||1|sdswrf|sdswrf|260087|W m**-2||Surface downward short-wave radiation flux
0.4.7|1|1|ssrd|ssrd|169|J m**-2|surface_downwelling_shortwave_flux_in_air|Surface short-wave (solar) radiation downwards
0.4.9||1|snswrf|snswrf|260089|W m**-2||Surface net short-wave radiation flux
0.4.9|1|1|ssr|ssr|176|J m**-2|surface_net_downward_shortwave_flux|Surface net short-wave (solar) radiation
0.5.3||1|sdlwrf|sdlwrf|260097|W m**-2||Surface downward long-wave radiation flux
0.5.3|1|1|strd|strd|175|J m**-2||Surface long-wave (thermal) radiation downwards
0.5.5|1|1|str|str|177|J m**-2|surface_net_upward_longwave_flux|Surface net long-wave (thermal) radiation
0.6.3||*|lcc|lcc|3073|%||Low cloud cover
0.6.4||*|mcc|mcc|3074|%||Medium cloud cover
0.6.5||*|hcc|hcc|3075|%||High cloud cover
0.6.6||*|cwat|cwat|260102|kg m**-2||Cloud water
0.6.32||*|cc|cc|248|(0 - 1)||Fraction of cloud cover
0.7.8||*|hlcy|hlcy|260125|m**2 s**-2||Storm relative helicity
0.14.0||*|tozne|tozne|260130|DU||Total ozone
0.15.1||*|bref|bref|260134|dB||Base reflectivity
0.19.0||*|vis|vis|3020|m||Visibility
2.0.0||1|lsm|lsm|172|(0 - 1)|land_binary_mask|Land-sea mask
2.0.2||*|st|st|228139|K||Soil temperature
2.0.9||*|soilw|soilw|260185|Proportion||Volumetric soil moisture content
2.0.25||*|vsw|vsw|260199|m**3 m**-3||Volumetric soil moisture
10.0.3||*|swh|swh|140229|m||Significant height of combined wind waves and swell
10.0.5||*|shww|shww|140234|m||Significant height of wind waves
10.0.8||*|shts|shts|140237|m||Significant height of total swell
10.0.14||*|mwd|mwd|140230|Degree true||Mean wave direction
10.0.15||*|mwp|mwp|140232|s||Mean wave period
10.2.0||1|ci|siconc|31|(0 - 1)|sea_ice_area_fraction|Sea ice area fraction
10.2.1||*|sithick|sithick|262000|m||Sea ice thickness
10.3.0||1|sst|sst|34|K||Sea surface temperature
10.3.1||*|zos|zos|262124|m|sea_surface_height_above_geoid|Sea surface height
10.4.3||*|s|s|3088|kg kg**-1||Salinity
"""
"""Discipline, category and number; statistical process (none: at a moment); types of the first surface, with its height where
names depend on it; short name, name of CF, ``paramId``, units, standard name, name."""

EDITION_1 = """
129|instant|z|z|129|m**2 s**-2|geopotential|Geopotential
130|instant|t|t|130|K|air_temperature|Temperature
131|instant|u|u|131|m s**-1|eastward_wind|U component of wind
132|instant|v|v|132|m s**-1|northward_wind|V component of wind
133|instant|q|q|133|kg kg**-1|specific_humidity|Specific humidity
135|instant|w|w|135|Pa s**-1|lagrangian_tendency_of_air_pressure|Vertical velocity
138|instant|vo|vo|138|s**-1|atmosphere_relative_vorticity|Vorticity (relative)
152|instant|lnsp|lnsp|152|Numeric||Logarithm of surface pressure
155|instant|d|d|155|s**-1|divergence_of_wind|Divergence
156|instant|gh|gh|156|gpm|geopotential_height|Geopotential height
157|instant|r|r|157|%|relative_humidity|Relative humidity
203|instant|o3|o3|203|kg kg**-1|mass_fraction_of_ozone_in_air|Ozone mass mixing ratio
246|instant|clwc|clwc|246|kg kg**-1||Specific cloud liquid water content
247|instant|ciwc|ciwc|247|kg kg**-1||Specific cloud ice water content
248|instant|cc|cc|248|(0 - 1)||Fraction of cloud cover
31|instant|ci|siconc|31|(0 - 1)|sea_ice_area_fraction|Sea ice area fraction
34|instant|sst|sst|34|K||Sea surface temperature
134|instant|sp|sp|134|Pa|surface_air_pressure|Surface pressure
139|instant|stl1|stl1|139|K|surface_temperature|Soil temperature level 1
141|instant|sd|sd|141|m of water equivalent|lwe_thickness_of_surface_snow_amount|Snow depth
142|instant|lsp|lsp|142|m|lwe_thickness_of_stratiform_precipitation_amount|Large-scale precipitation
143|instant|cp|cp|143|m|lwe_thickness_of_convective_precipitation_amount|Convective precipitation
144|instant|sf|sf|144|m of water equivalent|lwe_thickness_of_snowfall_amount|Snowfall
146|instant|sshf|sshf|146|J m**-2|surface_upward_sensible_heat_flux|Time-integrated surface sensible heat net flux
147|instant|slhf|slhf|147|J m**-2|surface_upward_latent_heat_flux|Time-integrated surface latent heat net flux
151|instant|msl|msl|151|Pa|air_pressure_at_mean_sea_level|Mean sea level pressure
159|instant|blh|blh|159|m||Boundary layer height
164|instant|tcc|tcc|164|(0 - 1)|cloud_area_fraction|Total cloud cover
165|instant|10u|u10|165|m s**-1||10 metre U wind component
166|instant|10v|v10|166|m s**-1||10 metre V wind component
167|instant|2t|t2m|167|K||2 metre temperature
168|instant|2d|d2m|168|K||2 metre dewpoint temperature
169|instant|ssrd|ssrd|169|J m**-2|surface_downwelling_shortwave_flux_in_air|Surface short-wave (solar) radiation downwards
170|instant|stl2|stl2|170|K||Soil temperature level 2
172|instant|lsm|lsm|172|(0 - 1)|land_binary_mask|Land-sea mask
175|instant|strd|strd|175|J m**-2||Surface long-wave (thermal) radiation downwards
176|instant|ssr|ssr|176|J m**-2|surface_net_downward_shortwave_flux|Surface net short-wave (solar) radiation
177|instant|str|str|177|J m**-2|surface_net_upward_longwave_flux|Surface net long-wave (thermal) radiation
182|instant|e|e|182|m of water equivalent|lwe_thickness_of_water_evaporation_amount|Evaporation
183|instant|stl3|stl3|183|K||Soil temperature level 3
186|instant|lcc|lcc|186|(0 - 1)||Low cloud cover
187|instant|mcc|mcc|187|(0 - 1)||Medium cloud cover
188|instant|hcc|hcc|188|(0 - 1)||High cloud cover
228|instant|tp|tp|228|m||Total precipitation
235|instant|skt|skt|235|K||Skin temperature
236|instant|stl4|stl4|236|K||Soil temperature level 4
39|instant|swvl1|swvl1|39|m**3 m**-3||Volumetric soil water layer 1
40|instant|swvl2|swvl2|40|m**3 m**-3||Volumetric soil water layer 2
41|instant|swvl3|swvl3|41|m**3 m**-3||Volumetric soil water layer 3
42|instant|swvl4|swvl4|42|m**3 m**-3||Volumetric soil water layer 4
"""
"""Table 128 of ECMWF. Number; type of step; short name, name of CF, ``paramId``, units, standard name, name."""

LEVELS_1 = {1: "surface", 100: "isobaricInhPa", 102: "meanSea", 105: "heightAboveGround", 109: "hybrid", 112: "depthBelowLandLayer"}
LEVELS_2 = {
    (1, 255): "surface",
    (2, 255): "cloudBase",
    (7, 255): "tropopause",
    (10, 255): "atmosphere",
    (100, 255): "isobaricInhPa",
    (101, 255): "meanSea",
    (103, 255): "heightAboveGround",
    (105, 255): "hybrid",
    (106, 106): "depthBelowLandLayer",
}
SHORTEST = 34
"""Length of section 4 with template 0 [bytes]."""
CENTRES = {
    7: ("kwbc", "US National Weather Service - NCEP"),
    54: ("cwao", "Canadian Meteorological Service - Montreal"),
    78: ("edzw", "Offenbach"),
    98: ("ecmf", "European Centre for Medium-Range Weather Forecasts"),
}


@dataclass(frozen=True, slots=True)
class Naming:
    """What a field is called."""

    name: str
    """Name of the variable: that of CF where ecCodes knows one, else the short name, else made of the codes."""
    short_name: str
    long_name: str
    units: str
    standard_name: str
    param_id: int
    level_type: str
    """ecCodes' ``typeOfLevel``."""
    level: float | None
    step_type: str
    data_type: str
    number: int | None
    centre: str
    centre_name: str
    sub_centre: int


def common_name(edition: int, discipline: int, identification: bytes, product: bytes) -> Naming | None:
    """What a field is called, if it is a common one."""
    if edition == 1:
        return _edition1(product)
    return _edition2(discipline, identification, product) if len(product) >= SHORTEST else None


def _edition2(discipline: int, identification: bytes, raw: bytes) -> Naming | None:
    layout = LAYOUTS.get(int.from_bytes(raw[7:9], "big"))
    if layout is not None and layout.interval is not None and len(raw) < layout.interval + 19:
        return None
    centre = CENTRES.get(int.from_bytes(identification[5:7], "big"))
    # local names differ from centre to centre, and other layouts stand for other parameters
    if layout is None or centre is None or layout.unit != 17 or layout.probability or layout.percentile or layout.derived:
        return None
    at = layout.surface
    level_type = LEVELS_2.get((raw[at], raw[at + 6]))
    process = "" if layout.interval is None else str(raw[layout.interval + 12])
    level = scaled(raw[at + 1 : at + 6])
    surface = f"{raw[at]}:{level:g}" if raw[at] == 103 and level is not None else str(raw[at])
    row = _rows2().get((f"{discipline}.{raw[9]}.{raw[10]}", process, surface))
    if row is None or level_type is None:
        return None
    step_type = {"": "instant", "0": "avg", "1": "accum", "2": "max", "3": "min"}.get(process, "unknown")
    sub_centre = int.from_bytes(identification[7:9], "big")
    return _name(row, level_type, level or 0.0, step_type, centre, sub_centre)


def _edition1(raw: bytes) -> Naming | None:
    level_type = LEVELS_1.get(raw[9])
    row = _rows1().get(raw[8])
    if raw[4] != 98 or raw[3] != 128 or level_type is None or row is None or raw[20] not in (0, 1, 10):
        return None
    step_type, *rest = row
    layer = level_type == "depthBelowLandLayer"
    level = float(raw[10] if layer else int.from_bytes(raw[10:12], "big"))
    return _name(rest, level_type, level, step_type, CENTRES[98], raw[25])


def _name(row: list[str], level_type: str, level: float, step_type: str, centre: tuple[str, str], sub_centre: int) -> Naming:
    short, cf, param, units, standard, long = row
    return Naming(
        cf, short, long, units, standard or "unknown", int(param), level_type, level, step_type, "", None, *centre, sub_centre
    )


@cache
def _rows2() -> dict[tuple[str, str, str], list[str]]:
    rows: dict[tuple[str, str, str], list[str]] = {}
    parts = [line.split("|") for line in EDITION_2.split("\n") if line]
    for code, process, surfaces, *row in sorted(parts, key=lambda one: one[2] != "*"):
        for surface in (ANYWHERE if surfaces == "*" else surfaces).split(","):
            rows[code, process, surface] = row
    return rows


@cache
def _rows1() -> dict[int, list[str]]:
    return {int(line.split("|")[0]): line.split("|")[1:] for line in EDITION_1.split("\n") if line}
