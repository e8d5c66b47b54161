"""Words for the labels of the zero-shot benchmarks, written from their official names and definitions before any score
was seen, and published figures.
"""

from typing import Dict, List, Tuple

# Wikidata properties of FewRel's validation set, from their names and descriptions there.
FEWREL_WIKI: Dict[str, Tuple[str, str]] = {
    "P177": ("crosses", "HEAD is a bridge or tunnel that crosses the river, road or other obstacle TAIL."),
    "P364": ("has the original language", "HEAD is a film, programme or work first made in the language TAIL."),
    "P2094": ("competes in the class", "HEAD is a competitor, team or event in the weight, age or sex class TAIL."),
    "P361": ("is part of", "HEAD is a part of TAIL."),
    "P641": ("takes part in the sport", "HEAD is a person, team or event of the sport TAIL."),
    "P59": ("lies in the constellation", "HEAD is a star, galaxy or other object in the constellation TAIL."),
    "P413": ("plays in the position", "HEAD is a player whose position on the team is TAIL."),
    "P206": ("is next to the water", "HEAD is a place in or next to the sea, lake or river TAIL."),
    "P412": ("has the voice type", "HEAD is a singer or role whose voice is TAIL, such as soprano, tenor or bass."),
    "P155": ("follows", "TAIL comes directly before HEAD in a series."),
    "P26": ("is married to", "HEAD and TAIL are or were husband and wife."),
    "P410": ("has the military rank", "HEAD is a person who holds or held the military rank TAIL."),
    "P25": ("has the mother", "TAIL is the mother of HEAD."),
    "P463": ("is a member of", "HEAD is a person, state or body that belongs to the organisation, club or band TAIL."),
    "P40": ("has the child", "TAIL is a son or daughter of HEAD."),
    "P921": ("is about", "HEAD is a work whose main subject is TAIL."),
}
FEWREL_SYMMETRIC = {"P26"}

FEWREL_PUBMED: Dict[str, Tuple[str, str]] = {
    "biological_process_involves_gene_product": (
        "involves the gene product",
        "HEAD is a biological process in which the gene product TAIL takes part.",
    ),
    "inheritance_type_of": ("is the inheritance type of", "HEAD is the way in which the disease TAIL is inherited."),
    "is_normal_tissue_origin_of_disease": (
        "is the tissue of origin of",
        "HEAD is the normal tissue from which the disease TAIL arises.",
    ),
    "ingredient_of": ("is an ingredient of", "HEAD is an ingredient of the drug or product TAIL."),
    "is_primary_anatomic_site_of_disease": (
        "is the primary site of",
        "HEAD is the part of the body where the disease TAIL begins.",
    ),
    "gene_found_in_organism": ("is a gene found in", "HEAD is a gene of the organism TAIL."),
    "occurs_in": ("occurs in", "HEAD is a disease or process that occurs in TAIL."),
    "causative_agent_of": (
        "is the causative agent of",
        "HEAD is the organism or substance that causes the disease TAIL.",
    ),
    "classified_as": ("is classified as", "HEAD is a kind of TAIL."),
    "gene_plays_role_in_process": ("plays a role in", "HEAD is a gene that plays a role in the process TAIL."),
}

# SemEval-2010 Task 8, from the definitions of its annotation guidelines; HEAD is the first, TAIL the second argument.
SEMEVAL: Dict[str, Tuple[str, str]] = {
    "Cause-Effect": ("causes", "HEAD is the cause of TAIL."),
    "Instrument-Agency": ("is used by", "HEAD is the instrument or tool that the agent TAIL uses."),
    "Product-Producer": ("is produced by", "HEAD is a product that the producer TAIL makes."),
    "Content-Container": ("is inside", "HEAD is an object that is stored or carried inside the container TAIL."),
    "Entity-Origin": ("comes from", "HEAD comes or is derived from TAIL, its origin or material."),
    "Entity-Destination": ("is moved to", "HEAD is moving towards the destination TAIL."),
    "Component-Whole": ("is a component of", "HEAD is a part with a function in the whole TAIL."),
    "Member-Collection": ("is a member of", "HEAD is a member of the group or collection TAIL."),
    "Message-Topic": ("is about", "HEAD is a message, text or speech about the topic TAIL."),
}

# Figures of others, by benchmark: a row and its scores from 0 to 1. They were not measured here. GLiREL's are those of
# table 1 of its paper as a reproduction of it quotes them; the paper's own table was not at hand.
PUBLISHED: Dict[str, List[Tuple[Dict[str, str], Dict[str, float]]]] = {
    "fewrel": [
        (
            {
                "name": "GLiREL (published)",
                "description": "arXiv 2501.03172, table 1, quoted by others; 15 unseen relations of all of FewRel's, "
                "trained on the rest and on synthetic data",
                "split": "other groups of labels",
            },
            {"macro_f_15": 0.8448},
        ),
        (
            {
                "name": "GLiREL, without synthetic data (published)",
                "description": "arXiv 2501.03172, table 1, quoted by others; trained on the other relations of FewRel",
                "split": "other groups of labels",
            },
            {"macro_f_15": 0.7040},
        ),
    ],
}
