"""Pictures: R69x."""

from .codes import WithCodes


class PictureErrors(metaclass=WithCodes):
    R690 = (
        "Can't draw {value!r}: it is of type {type}. Give a Doc, a Span, or a list of them, such as "
        "list(nlp.pipe(texts))."
    )
    R691 = "There is no style {style!r} of pictures. Known styles: {known}."
    R692 = "There is no option {name!r} of pictures. Known options: {known}."
    R693 = "The option {name!r} of pictures is {value!r}, but {expected} is expected. Mend it, or leave it out."
