"""Closed lists of English words that the rules for entities need."""

#: Courtesy titles, which belong to a person's name.
COURTESY = frozenset("mr mr. mrs mrs. ms ms. miss dr dr. prof prof. sir dame lord lady".split())
#: Offices that a tagger takes for a part of the name that follows.
OFFICES = frozenset("professor justice judge councillor president minister chancellor senator".split())
#: Openings and endings of letters, which a tagger takes for names.
GREETINGS = frozenset("dear thanks hi hello regards cheers".split())
#: Words that may stand inside a name, in lower case.
INSIDE_NAMES = frozenset("of & de la van von der".split())
#: Institutions that are named after a place: "Court of Justice" goes on after "of".
INSTITUTIONS = frozenset(
    "court university bank ministry institute college museum school department church council house board office "
    "hospital academy library diocese".split()
)
#: Adjectives that say how something is, not what kind of thing it is: "cold butter" is butter, "red lentils" are not
#: any lentils.
DESCRIBING = frozenset(
    "new old young large small big little long short high low good bad great own same other main cold hot warm dry wet "
    "major minor former late early recent last next first second whole full many much several few certain various "
    "different similar common general important local strong weak severe mild heavy light quick slow further such only "
    "final favourite favorite nice cheap expensive free entire close near everyday".split()
)
#: Units of currencies, after an amount.
CURRENCIES = frozenset("euro euros dollar dollars cent cents franc francs yen".split())
#: Units of measure, after a number.
UNITS = CURRENCIES | frozenset(
    "mg g kg µg mcg ml l dl cl mm cm m km °c % gram grams kilo kilos kilogram kilograms litre litres liter liters "
    "metre metres meter meters kilometre kilometres mile miles feet inch inches pound pounds ounce ounces ton tons "
    "tonne tonnes cup cups spoon spoons tablespoon tablespoons teaspoon teaspoons tbsp tsp percent unit units mmol "
    "tablet tablets drop drops pinch".split()
)
ARTICLES = frozenset(("the", "a", "an"))
POSSESSIVES = frozenset(("'s", "’s", "'", "’"))
