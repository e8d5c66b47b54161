"""Word lists of the rules that find mentions of one entity: all English, in lower case."""

from typing import Dict, FrozenSet

# What an entity type stands for. Types that are not here only share names with their own.
PERSON, ORGANISATION, PLACE, GROUP, VALUE = "person", "organisation", "place", "group", "value"
KINDS: Dict[str, str] = {
    **dict.fromkeys(("PERSON", "PER", "PERS"), PERSON),
    **dict.fromkeys(("ORG", "ORGANIZATION", "ORGANISATION", "COMPANY"), ORGANISATION),
    **dict.fromkeys(("GPE", "LOC", "LOCATION", "FAC", "PLACE", "CITY", "COUNTRY"), PLACE),
    "NORP": GROUP,
    **dict.fromkeys(
        ("TIME", "DATE", "NUM", "NUMBER", "CARDINAL", "ORDINAL", "QUANTITY", "PERCENT", "MONEY", "YEAR", "DURATION"),
        VALUE,
    ),
}


def _set(words: str) -> FrozenSet[str]:
    return frozenset(words.split())


def _table(lines: str) -> Dict[str, str]:
    """RETURNS (Dict[str, str]): the first name of each line, by the others of it."""
    rows = [[name.strip() for name in line.split(",")] for line in lines.strip().splitlines()]
    return {other: row[0] for row in rows for other in row[1:]}


ARTICLES = _set("the a an")
# Left out where initials are read.
SMALL = _set("the a an of and for in on at to de la le les des du del der die das und et e y di da & with by")

# Titles in front of a person's name, by the gender that they tell.
MALE_TITLES = _set(
    "mr mister sir lord king prince duke count baron father brother emperor monsieur herr señor don abbot"
)
FEMALE_TITLES = _set(
    "mrs ms miss madam madame mme lady dame queen princess duchess countess baroness sister empress frau mother"
)
TITLES = (
    MALE_TITLES
    | FEMALE_TITLES
    | _set(
        "dr doctor prof professor president premier chancellor minister senator sen rep representative congressman "
        "congresswoman governor gov mayor judge justice gen general col colonel maj major capt captain lt "
        "lieutenant sgt sergeant cpl corporal adm admiral cmdr commander marshal rev reverend bishop archbishop "
        "cardinal pope rabbi imam saint st chief officer detective inspector coach director ceo chairman chairwoman "
        "secretary ambassador sheriff pvt private pastor"
    )
)
# Behind a person's name; those that tell two persons of one name apart.
GENERATIONS = {
    **dict.fromkeys(("jr", "jnr", "junior"), "jr"),
    **dict.fromkeys(("sr", "snr", "senior"), "sr"),
    **{
        numeral: numeral
        for numeral in ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "xi", "xii", "xiii", "xiv", "xv", "xvi")
    },
}
DEGREES = _set("phd md esq mba obe mbe cbe kbe")

# Legal forms, which a company's name may go without.
LEGAL_FORMS = _set(
    "inc incorporated corp corporation co company companies ltd limited llc llp lp plc gmbh ag sa sas sarl spa "
    "srl bv nv ab as asa oy oyj kg kk pty pte group holding holdings"
)
# How the full names of places begin.
PLACE_STARTS = ("republic of ", "kingdom of ", "city of ", "commonwealth of ")

# Names of one place, the first being the one that stands for all.
PLACE_NAMES = _table(
    """
united states, us, usa, america, united states of america
united kingdom, uk, great britain, britain
soviet union, ussr, union of soviet socialist republics
united arab emirates, uae
china, prc, peoples republic of china
russia, russian federation
czech republic, czechia
south korea, republic of korea
north korea, dprk, democratic peoples republic of korea
ivory coast, côte divoire, cote divoire
east germany, gdr, german democratic republic
west germany, frg, federal republic of germany
european union, eu
"""
)

# Places and the adjectives and peoples of them.
DEMONYMS = _table(
    """
afghanistan, afghan, afghans, afghani
albania, albanian, albanians
algeria, algerian, algerians
united states, american, americans
angola, angolan, angolans
argentina, argentine, argentines, argentinian, argentinians
armenia, armenian, armenians
australia, australian, australians
austria, austrian, austrians
azerbaijan, azerbaijani, azerbaijanis
bahrain, bahraini, bahrainis
bangladesh, bangladeshi, bangladeshis
belarus, belarusian, belarusians
belgium, belgian, belgians
bolivia, bolivian, bolivians
bosnia, bosnian, bosnians
botswana, botswanan
brazil, brazilian, brazilians
united kingdom, british, britons, briton
bulgaria, bulgarian, bulgarians
cambodia, cambodian, cambodians
cameroon, cameroonian, cameroonians
canada, canadian, canadians
chile, chilean, chileans
china, chinese
colombia, colombian, colombians
congo, congolese
costa rica, costa rican, costa ricans
croatia, croatian, croatians, croat, croats
cuba, cuban, cubans
cyprus, cypriot, cypriots
czech republic, czech, czechs
denmark, danish, dane, danes
dominican republic, dominican, dominicans
ecuador, ecuadorian, ecuadorians
egypt, egyptian, egyptians
england, english, englishman, englishmen
eritrea, eritrean, eritreans
estonia, estonian, estonians
ethiopia, ethiopian, ethiopians
finland, finnish, finn, finns
france, french, frenchman, frenchmen
georgia, georgian, georgians
germany, german, germans
ghana, ghanaian, ghanaians
greece, greek, greeks
guatemala, guatemalan, guatemalans
haiti, haitian, haitians
honduras, honduran, hondurans
hungary, hungarian, hungarians
iceland, icelandic, icelander, icelanders
india, indian, indians
indonesia, indonesian, indonesians
iran, iranian, iranians
iraq, iraqi, iraqis
ireland, irish, irishman, irishmen
israel, israeli, israelis
italy, italian, italians
jamaica, jamaican, jamaicans
japan, japanese
jordan, jordanian, jordanians
kazakhstan, kazakh, kazakhs, kazakhstani
kenya, kenyan, kenyans
korea, korean, koreans
kuwait, kuwaiti, kuwaitis
laos, laotian, laotians, lao
latvia, latvian, latvians
lebanon, lebanese
libya, libyan, libyans
lithuania, lithuanian, lithuanians
luxembourg, luxembourgish, luxembourger
madagascar, malagasy
malaysia, malaysian, malaysians
mali, malian, malians
malta, maltese
mexico, mexican, mexicans
moldova, moldovan, moldovans
mongolia, mongolian, mongolians
morocco, moroccan, moroccans
mozambique, mozambican, mozambicans
myanmar, burmese
namibia, namibian, namibians
nepal, nepalese, nepali
netherlands, dutch, dutchman, dutchmen
new zealand, new zealander, new zealanders
nicaragua, nicaraguan, nicaraguans
nigeria, nigerian, nigerians
north korea, north korean, north koreans
norway, norwegian, norwegians
oman, omani, omanis
pakistan, pakistani, pakistanis
palestine, palestinian, palestinians
panama, panamanian, panamanians
paraguay, paraguayan, paraguayans
peru, peruvian, peruvians
philippines, philippine, filipino, filipinos
poland, polish, pole, poles
portugal, portuguese
puerto rico, puerto rican, puerto ricans
qatar, qatari, qataris
romania, romanian, romanians
russia, russian, russians
rwanda, rwandan, rwandans
saudi arabia, saudi, saudis, saudi arabian
scotland, scottish, scot, scots
senegal, senegalese
serbia, serbian, serbians, serb, serbs
singapore, singaporean, singaporeans
slovakia, slovak, slovaks, slovakian
slovenia, slovenian, slovenians, slovene
somalia, somali, somalis
south africa, south african, south africans
south korea, south korean, south koreans
soviet union, soviet, soviets
spain, spanish, spaniard, spaniards
sri lanka, sri lankan, sri lankans
sudan, sudanese
sweden, swedish, swede, swedes
switzerland, swiss
syria, syrian, syrians
taiwan, taiwanese
tanzania, tanzanian, tanzanians
thailand, thai, thais
tibet, tibetan, tibetans
tunisia, tunisian, tunisians
turkey, turkish, turk, turks
uganda, ugandan, ugandans
ukraine, ukrainian, ukrainians
uruguay, uruguayan, uruguayans
uzbekistan, uzbek, uzbeks
venezuela, venezuelan, venezuelans
vietnam, vietnamese
wales, welsh
yemen, yemeni, yemenis
yugoslavia, yugoslav, yugoslavs, yugoslavian
zambia, zambian, zambians
zimbabwe, zimbabwean, zimbabweans
africa, african, africans
asia, asian, asians
europe, european, europeans
california, californian, californians
texas, texan, texans
minnesota, minnesotan, minnesotans
"""
)

# First names that are common and tell the gender.
MALE_NAMES = _set(
    "john james robert michael william david richard joseph thomas charles christopher daniel matthew anthony "
    "mark donald steven steve paul andrew joshua kenneth kevin brian george timothy ronald edward jason jeffrey "
    "jeff ryan jacob gary nicholas eric jonathan stephen larry justin scott brandon benjamin ben samuel sam "
    "gregory frank alexander alex raymond patrick jack dennis jerry tyler aaron jose henry adam douglas nathan "
    "peter zachary kyle walter harold jeremy ethan carl keith roger gerald arthur lawrence albert joe juan "
    "carlos luis miguel antonio pedro pablo diego jorge bill bob jim tom tim mike dan dave pete fred rick ricky "
    "harry louis philip phillip simon martin victor ernest francis hans karl wilhelm friedrich heinrich johann "
    "ludwig otto fritz klaus jürgen wolfgang jean pierre jacques françois andré marcel henri claude émile "
    "giovanni giuseppe marco mario luigi paolo roberto vladimir ivan dmitri boris sergei nikolai mikhail igor "
    "oleg lars erik sven olaf bjørn björn nils anders mohammed muhammad ahmed ali hassan omar ibrahim yusuf "
    "abdullah khalid rajesh ravi raj amit sanjay vijay arjun hiroshi takashi kenji akira satoshi wei barack "
    "elon jeffery mitt jimmy bernard hugh leonard oscar ralph roy russell stanley theodore winston isaac "
    "galileo leonardo vincent edgar edmund alfred gustav ferdinand rudolf stefan tomas jan piotr andrzej"
)
FEMALE_NAMES = _set(
    "mary patricia jennifer linda elizabeth barbara susan jessica sarah karen lisa nancy betty margaret sandra "
    "ashley kimberly emily donna michelle carol amanda dorothy melissa deborah stephanie rebecca sharon laura "
    "cynthia kathleen amy angela shirley anna ann anne brenda pamela emma nicole helen samantha katherine "
    "catherine christine debra rachel carolyn janet virginia maria heather diane ruth julie olivia joyce "
    "victoria kelly christina lauren joan evelyn judith megan andrea cheryl hannah jacqueline martha gloria "
    "teresa sara janice marie julia grace judy theresa madison beverly denise marilyn amber danielle rose "
    "brittany diana abigail jane alice lucy ella kate katie jenny sue susanne eva ida ingrid astrid greta heidi "
    "ursula monika petra sabine claudia gisela françoise monique brigitte sophie charlotte camille isabelle "
    "juliette simone colette giulia francesca chiara lucia elena olga natalia svetlana irina tatiana ekaterina "
    "fatima aisha zainab layla priya anjali lakshmi indira sonia yuki sakura hillary melinda oprah angelina "
    "beyoncé serena venus ada rosalind dolly taylor madonna florence harriet frida clara"
)

# Head nouns that stand for an entity with an article ("the company"), by kind.
NOUNS: Dict[str, FrozenSet[str]] = {
    ORGANISATION: _set(
        "company firm corporation organization organisation group agency bank club team band party university "
        "college school institute association foundation ministry department committee council commission network "
        "newspaper magazine publisher label studio airline manufacturer maker retailer carmaker startup business "
        "charity union league museum hospital church society institution laboratory station broadcaster brewery "
        "brand operator supplier developer producer insurer lender regulator consortium federation"
    ),
    PLACE: _set(
        "city town village country nation state province county district region area island river lake mountain "
        "valley capital municipality suburb borough neighborhood neighbourhood settlement republic kingdom "
        "territory continent port peninsula park bridge airport castle palace building tower stadium metropolis "
        "commune"
    ),
    PERSON: _set(
        "man woman actor actress author writer singer musician artist painter composer scientist physicist chemist "
        "politician senator president minister lawyer physician engineer inventor player footballer striker "
        "goalkeeper coach director filmmaker novelist poet philosopher businessman businesswoman entrepreneur "
        "founder patient professor researcher journalist general officer king queen prince princess emperor bishop "
        "pope winner champion guitarist drummer rapper dancer"
    ),
}
# Of these, those that fit every entity of the kind, whatever the text says of it.
GENERAL_NOUNS: Dict[str, FrozenSet[str]] = {
    ORGANISATION: _set("company firm corporation organization organisation group institution"),
    PLACE: _set("city town village country nation state"),
    PERSON: _set("man woman"),
}
# Of these, those that stand at the beginning of a name.
LEADING_NOUNS = _set("lake river port castle")
COUNTRY_NOUNS = _set("country nation")
COUNTRIES = frozenset(DEMONYMS.values()) - _set("africa asia europe california texas minnesota")
# Nouns that "he" and "she" may mean.
PERSON_NOUNS = NOUNS[PERSON] | _set(
    "person boy girl father mother son daughter brother sister husband wife uncle aunt cousin nephew niece "
    "grandfather grandmother friend colleague partner doctor nurse teacher student boss leader chairman manager "
    "agent spokesman spokeswoman owner captain soldier child baby victim suspect neighbor neighbour guest "
    "client customer"
)
PERSON_ENDINGS = ("man", "woman", "ist", "ician")
MALE_NOUNS = _set("man actor businessman king prince emperor pope")
FEMALE_NOUNS = _set("woman actress businesswoman queen princess empress")

MALE_PRONOUNS = _set("he him his himself")
FEMALE_PRONOUNS = _set("she her hers herself")
NEUTER_PRONOUNS = _set("it its itself")
PLURAL_PRONOUNS = _set("they them their theirs themselves")
