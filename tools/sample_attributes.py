"""The attributes of the sample study, module by module of PS3.3; no pixels, no files.

Dates and names are constants: the same study again is the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

__all__ = [
    "CT",
    "ENHANCED_CT",
    "US_MULTI_FRAME",
    "StudyIdentity",
    "describe_ct",
    "describe_enhanced_ct",
    "describe_pixels",
    "describe_secondary_capture",
    "describe_study",
    "describe_us_cine",
]

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
US_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"

_DATE, _TIME = "20260102", "093000"
_AXIAL = [1, 0, 0, 0, 1, 0]
_SPACING_BETWEEN_SLICES_MM = 1.0


@dataclass(frozen=True, slots=True)
class StudyIdentity:
    """The UIDs that every object of the study shares."""

    study_instance_uid: str
    frame_of_reference_uid: str


def describe_study(ds: Dataset, identity: StudyIdentity, *, modality: str) -> None:
    """Patient, General Study, General Equipment (PS3.3 §C.7.1.1, §C.7.2.1, §C.7.5.1)."""
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = "Phantom^Thorax"
    ds.PatientID = "MERSEY-SAMPLE"
    ds.PatientBirthDate = ""
    ds.PatientSex = "O"
    ds.StudyInstanceUID = identity.study_instance_uid
    ds.StudyID = "1"
    ds.StudyDate, ds.StudyTime = _DATE, _TIME
    ds.StudyDescription = "Synthetic thorax"
    ds.AccessionNumber = "SAMPLE1"
    ds.ReferringPhysicianName = ""
    ds.Modality = modality
    ds.SeriesDate, ds.SeriesTime = _DATE, _TIME
    ds.ContentDate, ds.ContentTime = _DATE, _TIME
    ds.Manufacturer = "Mersey"
    ds.ManufacturerModelName = "sample study"
    ds.DeviceSerialNumber = "0"
    ds.SoftwareVersions = "1"
    if modality == "CT":
        ds.FrameOfReferenceUID = identity.frame_of_reference_uid
        ds.PositionReferenceIndicator = ""
        ds.PatientPosition = "HFS"
        ds.BodyPartExamined = "CHEST"


def describe_pixels(
    ds: Dataset,
    shape: tuple[int, int],
    *,
    bits_stored: int,
    frames: int | None = None,
    colour: bool = False,
) -> None:
    """Image Pixel and, where `frames` is told, Multi-frame (PS3.3 §C.7.6.3, §C.7.6.6)."""
    ds.Rows, ds.Columns = shape
    ds.BitsStored = bits_stored
    ds.BitsAllocated = 8 if bits_stored <= 8 else 16
    ds.HighBit = bits_stored - 1
    ds.PixelRepresentation = 0
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    if frames is not None:
        ds.NumberOfFrames = frames


def describe_ct(
    ds: Dataset, *, series: str, index: int, pixel_spacing_mm: float, intercept: int
) -> None:
    """One slice of a CT series: Image Plane, CT Image, VOI LUT (PS3.3 §C.7.6.2, §C.8.2.1)."""
    ds.SeriesInstanceUID = series
    ds.SeriesNumber = 2
    ds.SeriesDescription = "Thorax, slices"
    ds.InstanceNumber = index + 1
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.AcquisitionNumber = 1
    ds.PixelSpacing = [pixel_spacing_mm, pixel_spacing_mm]
    ds.ImageOrientationPatient = _AXIAL
    ds.ImagePositionPatient = _position(index, step_mm=5.0)
    ds.SliceLocation = 5.0 * index
    ds.SliceThickness = 5.0
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = intercept, 1, "HU"
    ds.WindowCenter, ds.WindowWidth = 40, 400
    ds.KVP = 120


def describe_enhanced_ct(
    ds: Dataset,
    *,
    series: str,
    dimension_organization: str,
    frames: int,
    pixel_spacing_mm: float,
    intercept: int,
) -> None:
    """Enhanced CT Image and its functional groups (PS3.3 §C.8.15, §C.7.6.16, §C.7.6.17)."""
    ds.SeriesInstanceUID = series
    ds.SeriesNumber = 1
    ds.SeriesDescription = "Thorax, enhanced"
    ds.InstanceNumber = 1
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.AcquisitionDateTime = _DATE + _TIME
    ds.AcquisitionDuration = 10.0
    ds.AcquisitionNumber = 1
    ds.ContentQualification = "PRODUCT"
    ds.PixelPresentation = "MONOCHROME"
    ds.VolumetricProperties = "VOLUME"
    ds.VolumeBasedCalculationTechnique = "NONE"
    ds.BurnedInAnnotation = "NO"
    ds.LossyImageCompression = "00"
    ds.PresentationLUTShape = "IDENTITY"
    ds.AcquisitionContextSequence = Sequence()
    _describe_dimensions(ds, dimension_organization)
    ds.SharedFunctionalGroupsSequence = [_shared_groups(pixel_spacing_mm, intercept)]
    ds.PerFrameFunctionalGroupsSequence = [_frame_groups(index) for index in range(frames)]


def describe_us_cine(ds: Dataset, *, series: str, shape: tuple[int, int]) -> None:
    """Cine, US Image, US Region Calibration (PS3.3 §C.7.6.5, §C.8.5.6, §C.8.5.5)."""
    rows, columns = shape
    ds.SeriesInstanceUID = series
    ds.SeriesNumber = 3
    ds.SeriesDescription = "Heart, cine"
    ds.InstanceNumber = 1
    ds.ImageType = ["ORIGINAL", "PRIMARY", "", "0001"]
    ds.PatientOrientation = ""
    ds.FrameTime = 33.3
    ds.FrameIncrementPointer = Tag(0x0018, 0x1063)
    ds.StartTrim, ds.StopTrim = 1, ds.NumberOfFrames
    ds.UltrasoundColorDataPresent = 1
    ds.LossyImageCompression = "00"
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = columns - 1, rows - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3  # centimetres
    region.PhysicalDeltaX = region.PhysicalDeltaY = 16.0 / rows
    ds.SequenceOfUltrasoundRegions = [region]


def describe_secondary_capture(ds: Dataset, *, study: str, series: str) -> None:
    """Multi-frame Grayscale Word Secondary Capture: the least that is valid (PS3.3 §A.8.4)."""
    describe_study(ds, StudyIdentity(study, ""), modality="OT")
    ds.SeriesInstanceUID = series
    ds.SeriesNumber = 1
    ds.InstanceNumber = 1
    ds.ConversionType = "SYN"
    ds.BurnedInAnnotation = "NO"
    ds.PresentationLUTShape = "IDENTITY"
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"


def _describe_dimensions(ds: Dataset, organization_uid: str) -> None:
    organization = Dataset()
    organization.DimensionOrganizationUID = organization_uid
    ds.DimensionOrganizationSequence = [organization]
    pointers = []
    for keyword, label in (("StackID", "Stack"), ("InStackPositionNumber", "Position")):
        pointer = Dataset()
        pointer.DimensionOrganizationUID = organization_uid
        pointer.DimensionIndexPointer = Tag(keyword)
        pointer.FunctionalGroupPointer = Tag("FrameContentSequence")
        pointer.DimensionDescriptionLabel = label
        pointers.append(pointer)
    ds.DimensionIndexSequence = pointers


def _shared_groups(pixel_spacing_mm: float, intercept: int) -> Dataset:
    groups = Dataset()
    measures = Dataset()
    measures.PixelSpacing = [pixel_spacing_mm, pixel_spacing_mm]
    measures.SliceThickness = _SPACING_BETWEEN_SLICES_MM
    measures.SpacingBetweenSlices = _SPACING_BETWEEN_SLICES_MM
    groups.PixelMeasuresSequence = [measures]
    orientation = Dataset()
    orientation.ImageOrientationPatient = _AXIAL
    groups.PlaneOrientationSequence = [orientation]
    frame_type = Dataset()
    frame_type.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    frame_type.PixelPresentation = "MONOCHROME"
    frame_type.VolumetricProperties = "VOLUME"
    frame_type.VolumeBasedCalculationTechnique = "NONE"
    groups.CTImageFrameTypeSequence = [frame_type]
    transformation = Dataset()
    transformation.RescaleIntercept, transformation.RescaleSlope = intercept, 1
    transformation.RescaleType = "HU"
    groups.PixelValueTransformationSequence = [transformation]
    anatomy = Dataset()
    anatomy.FrameLaterality = "U"
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "51185008", "SCT", "Chest"
    anatomy.AnatomicRegionSequence = [region]
    groups.FrameAnatomySequence = [anatomy]
    window = Dataset()
    window.WindowCenter, window.WindowWidth = 40, 400
    groups.FrameVOILUTSequence = [window]
    return groups


def _frame_groups(index: int) -> Dataset:
    groups = Dataset()
    content = Dataset()
    content.FrameAcquisitionNumber = 1
    content.FrameReferenceDateTime = _DATE + _TIME
    content.FrameAcquisitionDateTime = _DATE + _TIME
    content.FrameAcquisitionDuration = 10.0
    content.StackID = "1"
    content.InStackPositionNumber = index + 1
    content.DimensionIndexValues = [1, index + 1]
    groups.FrameContentSequence = [content]
    plane = Dataset()
    plane.ImagePositionPatient = _position(index, step_mm=_SPACING_BETWEEN_SLICES_MM)
    groups.PlanePositionSequence = [plane]
    return groups


def _position(index: int, *, step_mm: float) -> list[float]:
    return [-200.0, -200.0, round(index * step_mm, 3)]
