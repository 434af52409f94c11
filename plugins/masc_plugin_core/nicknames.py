"""Words for nicknames."""

ADJECTIVES = (
    "amber agile bold brave bright brisk calm clever cosmic crisp daring deft eager fair fleet gentle golden happy honest "
    "jolly keen kind lively lucky mellow merry noble polite proud quick quiet rapid sharp silver steady sunny swift vivid "
    "warm wise"
).split()
ANIMALS = (
    "badger bear beaver bison cat crane crow deer dolphin eagle falcon ferret finch fox gecko hare hawk heron ibex jay koala "
    "lark lemur lion lynx marten mole moose newt otter owl panda puffin raven robin seal stork swan tiger wolf wren yak"
).split()
