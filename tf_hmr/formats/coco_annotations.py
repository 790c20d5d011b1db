"""People and photos of COCO's json: annotations, or a list of results.

Annotation tools number and order things in their own ways: the person may be
any category, joints are identified by the names under categories[].keypoints,
and ids may be numbers or texts (cocodataset.org: format-data, format-results;
MVIG-SJTU/AlphaPose: docs/output.md).
"""

from collections.abc import Iterable
from typing import NamedTuple

from tf_hmr import joints

_PERSON = "person"
_COCO_PERSON = "1"
_LARGEST_SIDE = 2**20  # pixels that OpenCV decodes
_LONGEST = 1000  # characters of an id that is a number


class Image(NamedTuple):
    """A photo that annotations are of.

    Attributes:
        name: its file name; its id where the file gives no file name.
        size: width and height in pixels, if known.
    """

    name: str
    size: tuple[int, int] | None = None


class Person(NamedTuple):
    """A person who is annotated.

    Attributes:
        entry: the annotation.
        names: names of its keypoints, in their order.
        image: the photo.
        cause: why the annotation cannot be used, in a few words; else "".
    """

    entry: dict
    names: tuple[str, ...]
    image: Image
    cause: str = ""


class Images:
    """The images of a file, found by their ids."""

    def __init__(self, entries: list):
        """Reads the entries of `images`; odd ones are passed over.

        Raises:
            TypeError: it is not a list.
        """
        if not isinstance(entries, list):
            raise TypeError("images are not a list")
        self._by_text: dict[str, dict[str, Image]] = {}
        self._by_number: dict[str, dict[str, Image]] = {}
        for entry in entries:
            text = id_text(entry.get("id")) if isinstance(entry, dict) else ""
            if not text:
                continue
            file_name = entry.get("file_name")
            has_name = isinstance(file_name, str) and file_name.strip()
            image = Image(file_name if has_name else text, _size(entry))
            self._by_text.setdefault(text, {})[image.name] = image
            number = self._by_number.setdefault(_number_text(text), {})
            number[image.name] = image

    def find(self, image_id) -> Image:
        """Finds an image; 1, 1.0 and "1" are one id, and so are "01" and "1".

        Raises:
            ValueError: no image or several have this id; the message is a few
                words.
        """
        text = id_text(image_id)
        if not text and image_id != "":
            raise ValueError("it names no image")
        if not self._by_text:
            return Image(text)
        candidates = self._by_text.get(text)
        candidates = candidates or self._by_number.get(_number_text(text), {})
        if not candidates:
            raise ValueError("its image is not listed")
        if len(candidates) > 1:
            raise ValueError("its image_id is that of several images")
        return next(iter(candidates.values()))

    def all(self) -> Iterable[Image]:
        """Yields each image once."""
        for images in self._by_text.values():
            yield from images.values()


def people(content: dict) -> list[Person]:
    """The people of a file of annotations, without crowds, in its order.

    Annotations of other categories are passed over; those of people that
    cannot be used have a cause, and so have all where none is of a listed
    category. Where the file lists no image at all, an annotation's image is
    named by its id.

    Args:
        content: object with images, annotations and perhaps categories.

    Raises:
        KeyError, TypeError: it is no such object.
        ValueError: no category can be that of people.
    """
    images = Images(content["images"])
    annotations = content["annotations"]
    if not isinstance(annotations, list):
        raise TypeError("annotations are not a list")
    orders = _Orders(content.get("categories"))
    persons, unlisted = [], []
    for entry in annotations:
        if not isinstance(entry, dict):
            cause = "it is not an object"
            persons.append(Person({}, joints.COCO17, Image(""), cause))
        elif entry.get("iscrowd"):
            continue
        elif orders.is_person(entry):
            persons.append(_person(entry, images, orders))
        elif not orders.is_listed(entry):
            unlisted.append(_person(entry, images, orders))
    return persons or unlisted


def results(content: list) -> list[Person]:
    """The people of a list of results, whose joints are COCO's, in its order.

    Args:
        content: objects with image_id (an id, or a file name as AlphaPose
            writes it) and keypoints, whose third numbers are confidences.
    """
    return people({"images": [], "annotations": content})


def is_person_name(category: dict) -> bool:
    """Whether a category is named person."""
    return str(category.get("name")).strip().casefold() == _PERSON


def id_text(value) -> str:
    """The text of an id, a number or a text; "" for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ""
    return str(value).strip()


def order_key(value) -> tuple[bool, int, str]:
    """Sorts ids: numbers by value, whatever they are written as, then texts."""
    text = id_text(value)
    number = _number_text(text)
    is_number = number.removeprefix("-").isdecimal()
    return not is_number, int(number) if is_number else 0, text


def person_categories(categories) -> set[str]:
    """The id texts of categories of people, for boxes: no keypoints needed.

    Those named person; else those with keypoints of people; else none, which
    means that the file does not say.
    """
    listed = _objects(categories)
    named = {id_text(c.get("id")) for c in listed if is_person_name(c)}
    return named or set(_known_orders(listed))


class _Orders:
    """Which annotations are people, and the names of their keypoints."""

    def __init__(self, categories):
        """Reads the categories.

        Those with keypoints of people count; of several only those named
        person, if there are any. Where no category names keypoints, it is
        the one named person, or number 1, or the only one, in COCO's order.

        Raises:
            ValueError: categories name keypoints, but none that is known.
        """
        listed = _objects(categories)
        self._all_ids = {id_text(category.get("id")) for category in listed}
        self._names = _known_orders(listed)
        persons = [
            id_text(category.get("id"))
            for category in listed
            if is_person_name(category)
        ]
        named_orders = {k: v for k, v in self._names.items() if k in persons}
        self._names = named_orders or self._names
        if listed and not self._names:
            self._names = _nameless_person(listed)
        orders = set(self._names.values()) if listed else {joints.COCO17}
        self._default = orders.pop() if len(orders) == 1 else ()

    def is_person(self, entry: dict) -> bool:
        """Whether an annotation is of a person, as far as the file says."""
        category = id_text(entry.get("category_id"))
        return category in self._names or not category or not self._all_ids

    def is_listed(self, entry: dict) -> bool:
        """Whether the category of an annotation is in the file."""
        return id_text(entry.get("category_id")) in self._all_ids

    def names(self, entry: dict) -> tuple[str, ...]:
        """Names of an annotation's keypoints.

        Raises:
            ValueError: its category is not listed, or it has none.
        """
        category = id_text(entry.get("category_id"))
        if category in self._names:
            return self._names[category]
        if category and self._all_ids:
            raise ValueError("its category is not listed")
        if not self._default:
            raise ValueError("it has no category")
        return self._default


def _person(entry: dict, images: Images, orders: _Orders) -> Person:
    image = Image(id_text(entry.get("image_id")))
    try:
        image = images.find(entry.get("image_id"))
        return Person(entry, orders.names(entry), image)
    except ValueError as error:
        return Person(entry, joints.COCO17, image, str(error))


def _known_orders(categories: list[dict]) -> dict[str, tuple[str, ...]]:
    """Names of the keypoints of each category that has known ones, by id."""
    orders = {}
    for category in categories:
        names = _keypoint_names(category)
        if set(names) & set(joints.KEYPOINTS):
            orders[id_text(category.get("id"))] = names
    return orders


def _nameless_person(categories: list[dict]) -> dict[str, tuple[str, ...]]:
    """The person's category among those without known keypoints."""
    nameless = [c for c in categories if not _keypoint_names(c)]
    persons = [c for c in nameless if is_person_name(c)]
    persons += [
        category
        for category in nameless
        if id_text(category.get("id")) == _COCO_PERSON or len(categories) == 1
    ]
    if not persons:
        names = [n for c in categories for n in _keypoint_names(c)]
        raise ValueError(
            f"its categories name the keypoints {names}; none is known. "
            f"Expected some of {list(joints.KEYPOINTS)}"
        )
    return {id_text(persons[0].get("id")): joints.COCO17}


def _keypoint_names(category: dict) -> tuple[str, ...]:
    names = category.get("keypoints")
    if names is None or isinstance(names, str | dict):
        return ()
    try:
        return tuple(map(_joint_name, names))
    except TypeError:
        return ()


def _joint_name(text) -> str:
    """The name in joints.KEYPOINTS, however it is written; else the text."""
    name = str(text).strip().casefold().replace(" ", "_").replace("-", "_")
    return name if name in joints.KEYPOINTS else str(text)


def _objects(entries) -> list[dict]:
    if not isinstance(entries, list):
        return []
    return [entry for entry in entries if isinstance(entry, dict)]


def _number_text(text: str) -> str:
    is_number = text.removeprefix("-").isdecimal()
    return str(int(text)) if is_number and len(text) <= _LONGEST else text


def _size(entry: dict) -> tuple[int, int] | None:
    try:
        width, height = int(entry["width"]), int(entry["height"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if not 0 < min(width, height) <= max(width, height) <= _LARGEST_SIDE:
        return None
    return width, height
